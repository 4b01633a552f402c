// Counts down what is left of sessions. Without this the page says it in words, as of its loading.
"use strict";

(function () {
  const loaded = Date.now();

  function clock(seconds) {
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const rest = two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
    return hours ? hours + ":" + rest : rest;
  }

  function tick(times) {
    for (const time of times) {
      // By the server's clock, whatever this machine believes it is.
      const now = Date.parse(time.dataset.topsNow) + Date.now() - loaded;
      const seconds = Math.floor((Date.parse(time.dateTime) - now) / 1000);
      time.querySelector("span").textContent =
        seconds > 0 ? time.dataset.topsWords.replace("LEFT", clock(seconds)) : time.dataset.topsOver;
    }
  }

  function start() {
    const times = document.querySelectorAll("time[data-tops-now]");
    if (times.length) {
      tick(times);
      window.setInterval(tick, 1000, times);
    }
  }

  start();
})();
