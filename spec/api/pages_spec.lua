local cjson = require "cjson"
local pages = require "crdbcloud.api.pages"

local function named(...)
  local items = {}
  for i, name in ipairs { ... } do items[i] = { name = name } end
  return items
end

local function names_of(items)
  local out = {}
  for i, item in ipairs(items) do out[i] = item.name end
  return table.concat(out, " ")
end

describe("pages", function()
  describe("next_token sees the end of the list", function()
    local ends = {
      ["without pagination"] = {},
      ["with pagination null"] = { pagination = cjson.null },
      ["with an empty pagination"] = { pagination = {} },
      ["with next_page null"] = { pagination = { next_page = cjson.null } },
      ["with an empty next_page"] = { pagination = { next_page = "" } },
    }
    for title, document in pairs(ends) do
      it(title, function() assert.is_nil(pages.next_token(document)) end)
    end
    it("and a token where there is one", function()
      assert.equal("abc", pages.next_token { pagination = { next_page = "abc", previous_page = "x" } })
    end)
  end)

  it("go on until the last", function()
    local walk = pages.begin {}
    assert.is_nil(walk.token)
    assert.equal("a b", names_of(pages.take(walk, named("a", "b"), "t1")))
    assert.equal("t1", walk.token)
    assert.is_false(walk.done)
    assert.equal("c", names_of(pages.take(walk, named "c", nil)))
    assert.is_true(walk.done)
  end)

  it("may be empty in the middle", function()
    local walk = pages.begin {}
    assert.same({}, pages.take(walk, {}, "t1"))
    assert.is_false(walk.done)
  end)

  it("hand out each name once", function()
    local walk = pages.begin {}
    pages.take(walk, named("a", "b"), "t1")
    assert.equal("c", names_of(pages.take(walk, named("b", "c", "c"), nil)))
  end)

  it("tell clusters of one name apart by their ids", function()
    local walk = pages.begin {}
    assert.equal(2, #pages.take(walk, { { name = "x", id = "1" }, { name = "x", id = "2" } }, nil))
  end)

  it("refuse a token that came before", function()
    local walk = pages.begin {}
    pages.take(walk, named "a", "t1")
    pages.take(walk, named "b", "t2")
    local fresh, err = pages.take(walk, named "c", "t1")
    assert.is_nil(fresh)
    assert.equal("protocol", err.kind)
    assert.truthy(err.message:find "same page token twice")
    assert.is_false(err.retryable)
  end)

  it("refuse a list without an end", function()
    local walk = pages.begin { most_pages = 3 }
    assert.truthy(pages.take(walk, named "a", "t1"))
    assert.truthy(pages.take(walk, named "b", "t2"))
    local fresh, err = pages.take(walk, named "c", "t3")
    assert.is_nil(fresh)
    assert.truthy(err.message:find "no end after 3 pages")
  end)

  it("refuse more items, or longer names, than a list may have", function()
    local walk = pages.begin { max_items = 3 }
    assert.truthy(pages.take(walk, named("a", "b", "b"), "t1"))
    local fresh, err = pages.take(walk, named("c", "d"), "t2")
    assert.is_nil(fresh)
    assert.truthy(err.message:find("more than 3 items (max_items)", 1, true))
    local most = pages.MOST_BYTES
    finally(function() pages.MOST_BYTES = most end)
    pages.MOST_BYTES = 1024 * 1024
    fresh, err = pages.take(pages.begin {}, { { name = ("x"):rep(600000) }, { name = ("y"):rep(600000) } })
    assert.is_nil(fresh)
    assert.truthy(err.message:find("longer than 1 MiB", 1, true))
  end)

  it("take a last page that is just within the limit", function()
    local walk = pages.begin { most_pages = 2 }
    pages.take(walk, named "a", "t1")
    assert.truthy(pages.take(walk, named "b", nil))
  end)

  it("start again once when a token is refused in mid-list, and hand out no name twice", function()
    local walk = pages.begin {}
    pages.take(walk, named("a", "b"), "t1")
    assert.is_true(pages.restart(walk))
    assert.is_nil(walk.token)
    assert.equal("c", names_of(pages.take(walk, named("a", "b", "c"), "t1")))
    assert.is_false(pages.restart(walk))
  end)

  it("do not start again when the first page was refused", function()
    assert.is_false(pages.restart(pages.begin {}))
  end)

  it("write times as the API reads them", function()
    assert.equal("1970-01-01T00:00:00.000000Z", pages.timestamp(0))
    assert.equal("2024-09-16T00:00:00.250000Z", pages.timestamp(1726444800.25))
    assert.truthy(pages.timestamp(1726444800.9999995):match "^2024%-09%-16T00:00:00%.999999Z$")
  end)
end)
