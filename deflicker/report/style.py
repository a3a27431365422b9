"""How the HTML report looks, and the few lines that move its slider. Named by their hashes in the page's own policy."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5b6570; --line: #d9dee3; --paper: #fff; --card: #f5f7f9;
  --good: #18794e; --bad: #c0352b; --mind: #8a5a00; --before: #c05a1c; --after: #1769c2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b0; --line: #333b43; --paper: #14181c;
  --card: #1d2329; --good: #4cc38a; --bad: #ff7b72; --mind: #e0a94a; --before: #f0924f; --after: #66aaf5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.3rem; margin: .2rem 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
.soft, figcaption, summary + p { color: var(--soft); font-size: .875rem; }
.verdict { border-left: .5rem solid var(--mind); background: var(--card); padding: .8rem 1rem; margin: 1rem 0; }
.verdict strong { font-size: 1.4rem; } .verdict ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .4rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th, td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th { font-size: .8rem; color: var(--soft); font-weight: 600; }
td.none { color: var(--soft); text-align: left; font-size: .8rem; white-space: normal; }
summary { cursor: help; } summary + p { margin: .1rem 0 .3rem; max-width: 34rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .verdict.good, .verdict.bad { color: var(--ink); }
.grid2 { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0 0 .5rem; } img { display: block; width: 100%; height: auto; }
.slice { height: 9rem; image-rendering: auto; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--line); } svg .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
svg .before { stroke: var(--before); } svg .after { stroke: var(--after); }
svg .cut { stroke: var(--soft); stroke-dasharray: 5 4; } svg .seam { stroke: var(--bad); stroke-dasharray: 1 3; }
.key { white-space: nowrap; margin-left: .8rem; } .key::before { content: "━ "; }
.key.before::before { color: var(--before); } .key.after::before { color: var(--after); }
.key.cut::before { content: "┆ "; } .key.seam::before { content: "┊ "; color: var(--bad); }
.slider { position: relative; --at: 50%; }
.slider .over { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }
.slider::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; background: #fff;
  box-shadow: 0 0 3px #000; pointer-events: none; }
input[type=range] { width: 100%; height: 2rem; margin: .3rem 0; }
.scale { height: .7rem; background: linear-gradient(90deg, #000004, #57106e, #bc3754, #f98e09, #fcffa4); }
.ends { display: flex; justify-content: space-between; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
@media (max-width: 34rem) { body { padding: .7rem; } th, td { padding: .3rem .2rem; font-size: .9rem; }
  .unit { display: none; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { body { font-size: 10pt; max-width: none; } input { display: none; } figure, tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

SCRIPT = """
for (const slider of document.querySelectorAll(".slider")) {
  const input = slider.parentElement.querySelector("input");
  const move = () => slider.style.setProperty("--at", input.value + "%");
  input.addEventListener("input", move); move();
}
"""
