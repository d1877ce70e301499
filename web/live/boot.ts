// Starts a live file: unpacks its data and its program, and runs the page. It stands inline in the HTML, so it is short,
// imports nothing, and its syntax is old: a browser that cannot run the page must still show the sentence that says so.

/** What the page finds in `globalThis.gatescopeLive`. */
export interface Unpacked {
  /** The container of web/src/data/live-data.ts. */
  data: ArrayBuffer
  /** The address of the worker's script. */
  worker: string
  kernels: { plain: ArrayBuffer; relaxed: ArrayBuffer }
}

const OLD_BROWSER = 'gatescope-old-browser'
const DAMAGED = 'gatescope-damaged'

/** Show a sentence that stands hidden in the document. */
function show(id: string): void {
  const sentence = document.getElementById(id)
  if (sentence) sentence.hidden = false
}

/** Return the text of an element. A truncated file lacks some of them. */
function content(id: string): string {
  const element = document.getElementById(id)
  if (!element) throw new Error(id)
  return element.textContent || ''
}

/** Return the bytes that stand in base64 of gzip. */
function unpack(base64: string): Promise<ArrayBuffer> {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k)
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
}

/** Return the address of a script of these bytes. */
function address(script: ArrayBuffer): string {
  return URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
}

async function start(): Promise<void> {
  const block = JSON.parse(content('gatescope-data')) as { bytes: number; data: string }
  const [data, page, style, worker, plain, relaxed] = await Promise.all(
    [
      block.data,
      content('gatescope-page'),
      content('gatescope-style'),
      content('gatescope-worker'),
      content('gatescope-kernels'),
      content('gatescope-kernels-relaxed'),
    ].map(unpack),
  )
  if (data!.byteLength !== block.bytes) throw new Error('gatescope-data')
  if (!WebAssembly.validate(plain!)) return show(OLD_BROWSER)
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(new TextDecoder().decode(style))
  document.adoptedStyleSheets = [sheet]
  const unpacked: Unpacked = { data: data!, worker: address(worker!), kernels: { plain: plain!, relaxed: relaxed! } }
  ;(globalThis as unknown as { gatescopeLive: Unpacked }).gatescopeLive = unpacked
  const script = document.createElement('script')
  script.type = 'module'
  script.src = address(page!)
  script.onerror = () => show(DAMAGED)
  document.head.append(script)
}

document.addEventListener('DOMContentLoaded', () => {
  const parts = [self.DecompressionStream, self.WebAssembly, self.CSSStyleSheet && CSSStyleSheet.prototype.replaceSync]
  if (parts.some((part) => !part)) show(OLD_BROWSER)
  else start().catch(() => show(DAMAGED))
})
