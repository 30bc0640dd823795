// What a person would see wrong, as lines of text. Run in the page; returns an array.
const found = [];
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) found.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${wide}`);

function rgba(text) {
  const n = text.match(/[\d.]+/g).map(Number);
  return n.length > 3 ? n : [...n, 1];
}
function over(top, below) { return [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1); }
function backdrop(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
}
function luminance(color) {
  const [r, g, b] = color.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
  return (x + 0.05) / (y + 0.05);
}

for (const element of document.querySelectorAll("body *")) {
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  const clipped = style.clipPath !== "none" || element.closest(".hidden, thead") && style.position === "absolute";
  if (clipped || !box.width || !box.height || !element.checkVisibility() || element.closest(".hidden")) continue;
  if (box.right > wide + 0.5 || box.left < -0.5) found.push(`outside of the page: ${element.outerHTML.slice(0, 80)}`);
  const says = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const field = element.matches("input:not([type=hidden]), select");
  if (!says && !field) continue;
  const back = backdrop(element);
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const ratio = contrast(over(rgba(style.color), back), back);
  if (ratio < least) found.push(`contrast ${ratio.toFixed(2)} of "${element.textContent.trim().slice(0, 40)}"`);
  if (field) {
    const edge = contrast(over(rgba(style.borderTopColor), back), backdrop(element.parentElement));
    if (edge < 3) found.push(`contrast ${edge.toFixed(2)} of the edge of #${element.id}`);
    if (!element.labels || !element.labels.length) found.push(`no label: ${element.outerHTML.slice(0, 80)}`);
  }
}
for (const button of document.querySelectorAll("button, summary")) {
  const box = button.getBoundingClientRect();
  if (box.width && (box.height < 24 || box.width < 24)) found.push(`too small to hit: ${button.outerHTML.slice(0, 80)}`);
  if (button.scrollWidth > button.clientWidth + 1) found.push(`text is cut: ${button.outerHTML.slice(0, 80)}`);
}
for (const cell of document.querySelectorAll("th")) if (!cell.scope) found.push(`a heading without scope: ${cell.outerHTML}`);
for (const table of document.querySelectorAll("table")) if (!table.caption) found.push("a table without a caption");
if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
if (!document.documentElement.lang || !document.title) found.push("no language or title");
if (document.querySelector("script, [onclick], [style]")) found.push("has scripts or styles within");
return found;
