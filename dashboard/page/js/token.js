// The token for viewing and for manual control, which requests carry in a header.

/** The header of the token. */
export const HEADER = "X-Steadfast-Token";

/** True if a header can carry the token. */
export const isSendable = (token) => /^[\x21-\x7e]+$/.test(token);

/** Makes a link to data of the server work while a token is required: the page reads the data, and shows it in a new tab. */
export function sendToken(link, headers) {
  link.addEventListener("click", async (event) => {
    if (!(HEADER in headers())) return;
    event.preventDefault();
    const tab = window.open("", "_blank");
    if (!tab) return;
    try {
      const response = await fetch(link.href, { headers: headers(), cache: "no-store" });
      tab.location.href = response.ok ? URL.createObjectURL(await response.blob()) : link.href;
    } catch {
      tab.location.href = link.href;
    }
  });
}
