for (const slider of document.querySelectorAll(".slider")) {
  const input = slider.parentElement.querySelector("input");
  const move = () => slider.style.setProperty("--at", input.value + "%");
  input.addEventListener("input", move); move();
}
// The browser's own controls lie on the picture, which is small. Without this script they stay.
for (const video of document.querySelectorAll("video")) {
  const bar = video.parentElement.querySelector(".player"), button = bar.querySelector("button");
  const time = bar.querySelector("input");
  const toggle = () => video.paused ? video.play() : video.pause();
  const shown = () => { button.textContent = video.paused ? "Play" : "Pause"; };
  video.controls = false; bar.hidden = false;
  button.addEventListener("click", toggle); video.addEventListener("click", toggle);
  video.addEventListener("play", shown); video.addEventListener("pause", shown);
  video.addEventListener("timeupdate", () => { if (video.duration) time.value = video.currentTime / video.duration; });
  time.addEventListener("input", () => { video.pause(); video.currentTime = time.value * video.duration; });
}
