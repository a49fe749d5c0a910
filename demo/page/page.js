// Says how the payment service is, and tells it to be otherwise.

const WORDS = { healthy: "healthy", slow: "slow", hanging: "hanging", 503: "answering 503", 429: "answering 429", refusing: "refusing connections" };
const buttons = [...document.querySelectorAll("button")];

async function show() {
  try {
    const { mode, by_script } = await (await fetch("mode")).json();
    document.getElementById("mode").textContent = WORDS[mode] ?? mode;
    document.getElementById("by").textContent = by_script ? "by the script" : "until you say otherwise";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === (by_script ? "" : mode)));
  } catch {
    document.getElementById("mode").textContent = "gone, and so is the demo";
  }
}

for (const button of buttons) {
  button.addEventListener("click", async () => {
    await fetch("mode", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(button.dataset.mode || null) });
    show();
  });
}
setInterval(show, 500);
show();
