// The connection: everything once, then what changes, and again from the start after a break.

const SILENCE = 12_000;

/** Calls `onAll`, `onChanges` and `onStatus` as things happen, for as long as the page is open. */
export function connect(url, { onAll, onChanges, onStatus }) {
  let source = null;
  let watchdog = 0;
  let retry = 0;

  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => restart(), SILENCE);
  };
  const restart = () => {
    source?.close();
    clearTimeout(watchdog);
    clearTimeout(retry);
    onStatus("lost");
    retry = setTimeout(open, 1000);
  };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("all", (event) => {
      alive();
      onAll(JSON.parse(event.data));
      onStatus("live");
    });
    source.addEventListener("changes", (event) => {
      alive();
      onChanges(JSON.parse(event.data));
    });
    // What the browser tries again by itself waits longer with each failure; an operator should not.
    source.addEventListener("error", restart);
    alive();
  };

  open();
}
