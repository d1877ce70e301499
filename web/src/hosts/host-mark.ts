// How a page knows where it stands: a static site and a notebook widget write it into the document.

/** The hosts that mark their documents; the local server and live files have no mark. */
export type MarkedHost = 'site' | 'notebook'

/** Whether the document is the page of a host. */
export const isHost = (host: MarkedHost): boolean =>
  document.querySelector(`meta[name="gatescope-host"][content="${host}"]`) !== null
