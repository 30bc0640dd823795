--- SQL keywords that need double quotes when they stand as a user name.
-- The three keyword sets of CockroachDB's grammar (reserved, type or function
-- name, column name) without its internal look-ahead tokens. Words that may
-- stand bare are not here.

local WORDS = [[
all analyse analyze and any array as asc asymmetric both case cast check collate column concurrently constraint create
current_catalog current_date current_role current_schema current_time current_timestamp current_user default deferrable
desc distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral
leading limit localtime localtimestamp not null offset on only or order placing primary references returning select
session_user some symmetric table then to trailing true union unique user using variadic when where window with

authorization collation cross full inner ilike is isnull join left like natural none notnull outer overlaps right
similar family

annotate_type between bigint bit boolean box2d char character characteristics coalesce dec decimal exists extract
extract_duration float geography geometry greatest grouping if iferror ifnull inout int integer interval iserror least
nullif numeric out overlay point polygon position precision real row setof smallint string substring time timetz
timestamp timestamptz treat trim values varbit varchar vector virtual work
]]

---@type table<string, true>
local M = {}
for word in WORDS:gmatch "%S+" do M[word] = true end

return M
