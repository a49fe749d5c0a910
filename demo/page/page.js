// Shows the mode of the payment service, and changes it.

const MODE_TEXTS = { healthy: "healthy", slow: "slow", hanging: "hanging", 503: "answering 503", 429: "answering 429", refusing: "refusing connections" };
const buttons = [...document.querySelectorAll("button")];

async function showMode() {
  try {
    const { mode, by_script } = await (await fetch("mode")).json();
    document.getElementById("mode").textContent = MODE_TEXTS[mode] ?? mode;
    document.getElementById("source").textContent = by_script ? "set by the script" : "set manually";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === (by_script ? "" : mode)));
  } catch {
    document.getElementById("mode").textContent = "not reachable: the demo has stopped";
  }
}

for (const button of buttons) {
  button.addEventListener("click", async () => {
    await fetch("mode", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(button.dataset.mode || null) });
    showMode();
  });
}
setInterval(showMode, 500);
showMode();
