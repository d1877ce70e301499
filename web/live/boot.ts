// Starts a live file: unpacks its data and its program, and runs the page. It stands inline in the HTML, so it is short,
// imports nothing, and its syntax is old: a browser that cannot run the page must still show the sentence that says so.

/** What the page finds in `globalThis.gatescopeLive`. */
export interface Unpacked {
  /** The container of web/src/data/live-data.ts. */
  data: ArrayBuffer
  /** The address of the worker's script. */
  worker: string
  kernels: { plain: ArrayBuffer; relaxed: ArrayBuffer }
  /** The sentences of each language besides English. */
  messages: { zh: ArrayBuffer }
}

/** What web/live/unpack.ts puts into `globalThis.gatescope`. */
type Unpacker = typeof import('./unpack')

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

/** Return the bytes that stand in base64. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k)
  return bytes
}

/** Return the bytes that stand in base64 of gzip. */
function unpack(base64: string): Promise<ArrayBuffer> {
  return new Response(new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
}

/** Run a script. Throws an Event if it cannot be loaded. */
function run(source: string, type: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.type = type
    script.src = source
    script.onload = resolve
    script.onerror = reject
    document.head.append(script)
  })
}

/** Return the address of a script of these bytes. */
function address(script: ArrayBuffer): string {
  return URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
}

async function start(): Promise<void> {
  const block = JSON.parse(content('gatescope-data')) as { bytes: number; data: string }
  const [data, unpacker] = await Promise.all([unpack(block.data), unpack(content('gatescope-unpack'))])
  if (data.byteLength !== block.bytes) throw new Error('gatescope-data')
  await run(address(unpacker), 'text/javascript')
  const { unpackProgram } = (globalThis as unknown as { gatescope: Unpacker }).gatescope
  const [page, style, worker, plain, relaxed, zh] = unpackProgram(bytesOf(content('gatescope-program')).buffer)
  if (!WebAssembly.validate(plain!)) return show(OLD_BROWSER)
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(new TextDecoder().decode(style))
  document.adoptedStyleSheets = [sheet]
  const unpacked: Unpacked = {
    data: data!,
    worker: address(worker!),
    kernels: { plain: plain!, relaxed: relaxed! },
    messages: { zh: zh! },
  }
  ;(globalThis as unknown as { gatescopeLive: Unpacked }).gatescopeLive = unpacked
  await run(address(page!), 'module')
}

document.addEventListener('DOMContentLoaded', () => {
  const parts = [self.DecompressionStream, self.WebAssembly, self.CSSStyleSheet && CSSStyleSheet.prototype.replaceSync]
  if (parts.some((part) => !part)) show(OLD_BROWSER)
  else start().catch(() => show(DAMAGED))
})
