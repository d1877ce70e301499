// How a page knows that it is one of a static site.

/** Whether the document is the page of a static site. */
export function isSite(): boolean {
  return document.querySelector('meta[name="gatescope-host"][content="site"]') !== null
}
