// Files beside the page, of the local server or of a static site.

const address = (file: string): string => new URL(file, document.baseURI).href

/** Return the content of a file. Throws an Error with its name if it cannot be read. */
export async function load(file: string): Promise<ArrayBuffer> {
  const answer = await fetch(address(file))
  if (!answer.ok) throw new Error(`${file}: ${answer.status}`)
  return answer.arrayBuffer()
}

/** Start the worker that computes. */
export const startWorker = (): Worker => new Worker(address('worker.js'))

/** Return the kernels. */
export async function loadKernels(): Promise<{ plain: ArrayBuffer; relaxed: ArrayBuffer }> {
  const [plain, relaxed] = await Promise.all([load('kernels.wasm'), load('kernels-relaxed.wasm')])
  return { plain, relaxed }
}
