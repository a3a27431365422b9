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
$("anchor").addEventListener("input", () => { $("anchored").textContent = (+$("anchor").value).toFixed(2); });
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText($("command").textContent); $("copy").textContent = "Copied"; }
  catch { getSelection().selectAllChildren($("command")); $("copy").textContent = "Selected"; }
});
let asked = 0;
async function render() {
  const turn = ++asked;
  document.body.setAttribute("aria-busy", "true");
  $("summary").textContent = "Rendering …"; $("copy").textContent = "Copy command";
  const wanted = { start: $("start").value, seconds: $("seconds").value, strength: $("strength").value,
    preset: $("preset").value, anchor: $("anchor").value };
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
for (const id of ["strength", "anchor", "preset", "start", "seconds"]) $(id).addEventListener("change", render);
for (const video of [before, after]) video.addEventListener("loadeddata", () => {
  document.body.dataset[video.id] = video.videoWidth + "x" + video.videoHeight;
  // Controls stay in sight below a tall picture.
  $("view").style.maxWidth = `max(20rem, ${50 * video.videoWidth / video.videoHeight}vh)`; });
tick(); render();
