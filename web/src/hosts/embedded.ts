// The page inside the frame of another page, such as a blog post.

/** Tell the page around this one how tall the content is, now and whenever it changes; web/live/embed.ts listens. */
export function reportHeight(): void {
  if (window.parent === window) return
  document.documentElement.classList.add('embedded')
  const report = (): void =>
    window.parent.postMessage({ gatescope: 'height', height: document.body.getBoundingClientRect().height }, '*')
  new ResizeObserver(report).observe(document.body)
}
