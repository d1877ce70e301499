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

/** A module with one instruction of relaxed SIMD: i8x16.relaxed_swizzle. */
// prettier-ignore
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // the magic number and the version
  1, 5, 1, 96, 0, 1, 123, // a type: no arguments, one v128
  3, 2, 1, 0, // a function of this type
  10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11, // splat 1, splat 2, swizzle
])

/** Return the build of the kernels that this browser can run; the other build is empty. */
export async function loadKernels(): Promise<{ plain: ArrayBuffer; relaxed: ArrayBuffer }> {
  const none = new ArrayBuffer(0)
  if ('WebAssembly' in globalThis && WebAssembly.validate(RELAXED_PROBE))
    return { plain: none, relaxed: await load('kernels-relaxed.wasm') }
  return { plain: await load('kernels.wasm'), relaxed: none }
}
