// Runs a program of WebAssembly in Node, with its output and its exit status:  node run-wasm.mjs PROGRAM.wasm
import { readFile } from 'node:fs/promises'
import { argv, exit, stderr } from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { WASI } from 'node:wasi'

const wasi = new WASI({ version: 'preview1', args: argv.slice(2) })
const imports = {
  wasi_snapshot_preview1: wasi.wasiImport,
  gatescope: {
    out_of_memory(bytes) {
      throw new Error(`Memory: expected ${bytes >>> 0} more bytes, got none. Exercise smaller layers.`)
    },
  },
}
try {
  const bytes = await readFile(argv[2])
  // Node 20 has relaxed SIMD behind a flag.
  if (!WebAssembly.validate(bytes)) setFlagsFromString('--experimental-wasm-relaxed-simd')
  const { instance } = await WebAssembly.instantiate(bytes, imports)
  exit(wasi.start(instance))
} catch (error) {
  stderr.write(`${error.message}\n`)
  exit(1)
}
