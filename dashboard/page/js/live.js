// The event stream: every entry once, then the changes. After a lost connection, the stream starts over.

/** The time without an event, in milliseconds, after which the connection counts as lost. */
const SILENCE_TIMEOUT = 12_000;
const RECONNECT_DELAY = 1_000;

/** Calls `onAll`, `onChanges` and `onStatus` for as long as the page is open. */
export function connect(url, { onAll, onChanges, onStatus }) {
  let source = null;
  let silenceTimer = 0;
  let reconnectTimer = 0;

  const resetSilenceTimer = () => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => reconnect(), SILENCE_TIMEOUT);
  };
  const reconnect = () => {
    source?.close();
    clearTimeout(silenceTimer);
    clearTimeout(reconnectTimer);
    onStatus("lost");
    reconnectTimer = setTimeout(open, RECONNECT_DELAY);
  };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("all", (event) => {
      resetSilenceTimer();
      onAll(JSON.parse(event.data));
      onStatus("live");
    });
    source.addEventListener("changes", (event) => {
      resetSilenceTimer();
      onChanges(JSON.parse(event.data));
    });
    // The browser's own reconnection waits longer after each failure; this one uses a constant delay.
    source.addEventListener("error", reconnect);
    resetSilenceTimer();
  };

  open();
}
