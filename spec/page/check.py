"""Looks at and uses the page of examples/nginx as a person would. Usage: check.py DIRECTORY-OF-THE-SERVICE PICTURES"""

import json
import pathlib
import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

service, pictures = map(pathlib.Path, sys.argv[1:])
url = "https://127.0.0.1:" + (service / "port").read_text().strip()
token = (service / "private/token").read_text().strip()
sandbox = (service / "own-sandbox").read_text().strip()
look = (pathlib.Path(__file__).parent / "look.js").read_text()
failed = 0


def check(what, holds, why=""):
    global failed
    print(f"   {'ok     ' if holds else 'WRONG  '} {what}{'' if holds else ': ' + str(why)}")
    failed += not holds


def control(*words):
    return subprocess.run(["examples/sandbox/sandbox", *words, "--dir", sandbox], check=True, capture_output=True, text=True).stdout


def changes():
    return control("log").count('"update_sql_user_password"')


options = webdriver.ChromeOptions()
# Root has no sandbox of its own in Chromium; the page is our own. The authority is made anew with each start.
for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--ignore-certificate-errors"):
    options.add_argument(word)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
browser = webdriver.Chrome(options=options)


def find(selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def wait(condition, what):
    WebDriverWait(browser, 60, poll_frequency=0.2, ignored_exceptions=(Exception,)).until(lambda _: condition(), what)


def text():
    return find("body").text


def view(width, scheme):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return size


def picture(name, width, scheme, whole=True):
    size = view(width, scheme)
    if whole:
        size["height"] = browser.execute_script("return document.documentElement.scrollHeight")
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.save_screenshot(str(pictures / f"{name}.png"))


def look_at(name):
    for width in (360, 1280):
        for scheme in ("light", "dark"):
            view(width, scheme)
            found = browser.execute_script(look)
            check(f"{name}, {width} pixels, {scheme}: nothing is cut, out of reach, unlabelled or hard to read", not found, "; ".join(found))
            picture(f"{name}-{width}-{scheme}", width, scheme)
    view(1280, "light")


def row(user):
    for line in browser.find_elements(By.CSS_SELECTOR, "tbody tr"):
        if line.find_element(By.CSS_SELECTOR, "th").text == user:
            return line
    return None


def press(element):
    view(1280, "light")
    element.click()


def rest():
    wait(lambda: not browser.find_elements(By.CSS_SELECTOR, "progress"), "the end of the rotation")


print("Signing in")
browser.get(url + "/")
look_at("login")
find("#token").send_keys("guess")
press(find("form button"))
wait(lambda: find(".message.bad"), "the refusal")
check("a wrong token is refused", "not the token" in text(), text())
find("#token").send_keys(token, Keys.ENTER)
wait(lambda: row("payment_service"), "the list")
# The schedule's first run, soon after the start.
wait(lambda: browser.refresh() or "Last run" in text(), "the first run")
cookie = browser.get_cookies()[0]
check("the cookie is out of reach of scripts and other sites", cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Strict", cookie)
rest()

print("The list")
look_at("users")
check("owners are shown", "payments@example.com" in row("payment_service").text)
check("ages are shown", "41 days ago" in row("app_user_001").text, row("app_user_001").text)
check("others are shown as not managed", "Not managed" in row("legacy_report").text)

print("By keyboard alone")
browser.execute_script("document.activeElement.blur()")
unseen = []
for _ in range(12):
    browser.switch_to.active_element.send_keys(Keys.TAB)
    element = browser.switch_to.active_element
    if element.value_of_css_property("outline-style") == "none":
        unseen.append(element.get_attribute("outerHTML")[:80])
check("the focus is seen wherever it goes", not unseen, unseen)

print("Creating a user")
for name, value in (("name", "ledger"), ("owner", "ledger@example.com"), ("database", "shop"), ("tables", "orders")):
    find("#" + name).send_keys(value)
find("#access option[value=readwrite]").click()
press(find("#create button"))
wait(lambda: row("ledger"), "the new user")
check("it is said and listed", "ledger is there" in text() and "ledger@example.com" in row("ledger").text, text())
find("#name").send_keys("a b")
find("#owner").send_keys("x")
find("#database").send_keys("shop")
press(find("#create button"))
wait(lambda: find(".message.bad"), "the refusal")
check("a name that is none is refused and stays in the form", find(".message.bad").text and find("#name").get_attribute("value") == "a b")
look_at("refused")

print("Rotating one user")
browser.get(url + "/")
before = changes()
press(row("app_user_001").find_element(By.CSS_SELECTOR, "button"))
wait(lambda: "second" in row("app_user_001").text or "now" in row("app_user_001").text, "the new password")
rest()
check("one password was changed", changes() == before + 1, changes() - before)

print("Rotating all")
press(find("summary"))
look_at("confirm")
control("set", "latency=2000")
before = changes()
find("#reason").send_keys("a laptop was lost")
press(find("details button"))
wait(lambda: float(find("progress").get_attribute("value")) >= 3, "some progress")
picture("page", 1280, "light", whole=False)
look_at("running")
check("it is told how far it is", " of 7" in find(".rotation").text, find(".rotation").text)
control("set", "latency=0")
rest()
check("each managed user has a new password", changes() == before + 7, changes() - before)
check("the run is summed up", "7 rotated" in text(), find(".rotation").text)

print("A forged form")
before = changes()
browser.execute_script("document.querySelector('tbody form input[name=form_token]').value = '0'.repeat(64)")
press(find("tbody form button"))
wait(lambda: find("main.login h1"), "the refusal")
status = browser.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus")
check("with another form token it gets 403", status == 403, status)
(pictures / "forged.html").write_text(f'<form method="post" action="{url}/rotate"><input name="user" value="search"><button>You have won</button></form>')
browser.get((pictures / "forged.html").as_uri())
find("button").click()
wait(lambda: browser.current_url.startswith(url), "the answer")
status = browser.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus")
check("from another site it gets 401 or 403", status in (401, 403), status)
(pictures / "forged.html").unlink()
check("nothing was changed", changes() == before)

print("Signing out")
browser.get(url + "/")
press(find("header button"))
wait(lambda: find("#token"), "the page for signing in")
check("the page is closed", browser.find_elements(By.ID, "token") and not row("search"))
browser.back()
check("going back does not open it", not row("search"))

# The browser itself reports our own answers of 401, 400 and 403.
log = [entry["message"] for entry in browser.get_log("browser") if "the server responded with a status of 4" not in entry["message"]]
check("the browser has nothing to complain of", not log, json.dumps(log))
browser.quit()
print("All of it holds." if not failed else f"{failed} checks failed.")
sys.exit(failed > 0)
