"""The page: two videos, one above the other, with a divider; a plot beneath them; and what to try next."""

from __future__ import annotations

from html import escape

from deflicker.report.style import CSS

_CSS = """
#stage { position: relative; --at: 50%; background: #000; } #stage video { display: block; width: 100%; }
#after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }
#line { position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; background: #fff; pointer-events: none; }
.bar { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .4rem 0; }
.bar input[type=range] { flex: 1; width: auto; } .bar input[type=text] { width: 6rem; }
#plot svg { max-height: 13rem; }
code { background: var(--card); padding: .3rem .5rem; } svg #now { stroke: var(--ink); }
[aria-busy=true] { opacity: .5; }
"""
_SCRIPT = """
const $ = id => document.getElementById(id), before = $("before"), after = $("after");
const place = () => $("stage").style.setProperty("--at", $("divider").value + "%");
$("divider").addEventListener("input", place); place();
$("play").addEventListener("click", () => before.paused ? before.play() : before.pause());
before.addEventListener("play", () => { $("play").textContent = "Pause"; after.play(); });
before.addEventListener("pause", () => { $("play").textContent = "Play"; after.pause(); sync(0); });
before.addEventListener("ended", () => { before.currentTime = 0; before.play(); });
const sync = most => { if (Math.abs(after.currentTime - before.currentTime) > most)
  after.currentTime = before.currentTime; };
before.addEventListener("seeked", () => sync(0));
const tick = () => {
  sync(0.05);
  if (before.duration && document.activeElement !== $("time")) $("time").value = before.currentTime / before.duration;
  const mark = $("now");
  if (mark && before.duration) { const x = 44 + before.currentTime / before.duration * 426;
    mark.setAttribute("x1", x); mark.setAttribute("x2", x); }
  requestAnimationFrame(tick);
};
$("time").addEventListener("input", () => { before.currentTime = $("time").value * before.duration; });
$("strength").addEventListener("input", () => { $("shown").textContent = (+$("strength").value).toFixed(2); });
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("command").textContent); $("copy").textContent = "Copied"; }
  catch { getSelection().selectAllChildren($("command")); $("copy").textContent = "Selected"; }
});
let asked = 0;
async function render() {
  const turn = ++asked;
  document.body.setAttribute("aria-busy", "true");
  $("summary").textContent = "Rendering …"; $("copy").textContent = "Copy";
  const wanted = { start: $("start").value, seconds: $("seconds").value, strength: $("strength").value };
  const answer = await fetch("render", { method: "POST", body: JSON.stringify(wanted) });
  const made = await answer.json();
  if (turn !== asked) return;  // something else was asked for meanwhile
  document.body.removeAttribute("aria-busy");
  if (made.error) { $("summary").textContent = made.error; return; }
  before.src = made.before; after.src = made.after;
  $("summary").textContent = made.summary; $("command").textContent = made.command; $("plot").innerHTML = made.plot;
  const svg = $("plot").querySelector("svg");
  if (svg) svg.insertAdjacentHTML("beforeend", '<line id="now" y1="12" y2="176" x1="44" x2="44"/>');
  document.body.dataset.ready = "yes";
}
for (const id of ["strength", "start", "seconds"]) $(id).addEventListener("change", render);
for (const video of [before, after]) video.addEventListener("loadeddata", () => {
  document.body.dataset[video.id] = video.videoWidth + "x" + video.videoHeight; });
tick(); render();
"""


def page(name: str, *, strength: float, start: str, seconds: str) -> str:
    """HTML of the page for a video of this name, with what its controls show at first."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>deflicker: {escape(name)}</title>
<meta name="viewport" content="width=device-width"><style>{CSS}{_CSS}</style>
<h1>{escape(name)}</h1>
<div id="stage"><video id="before" muted playsinline></video><video id="after" muted playsinline></video>
<div id="line"></div></div>
<div class="ends soft"><span>before</span><span>after</span></div>
<input id="divider" type="range" min="0" max="100" value="50" aria-label="divider between before and after">
<div class="bar"><button id="play">Play</button>
<input id="time" type="range" min="0" max="1" step="0.001" value="0" aria-label="time"></div>
<div id="plot"></div>
<div class="bar"><label for="strength">strength <b id="shown">{strength:.2f}</b></label>
<input id="strength" type="range" min="0" max="1" step="0.05" value="{strength:g}">
<label>from <input id="start" type="text" value="{escape(start)}"></label>
<label>seconds <input id="seconds" type="text" value="{escape(seconds)}"></label></div>
<p id="summary" role="status"></p>
<p class="bar"><code id="command"></code><button id="copy">Copy</button></p>
<script>{_SCRIPT}</script></html>"""
