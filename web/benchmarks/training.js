// Trains through the worker of the page, for benchmarks/browser_training.py: in Node, and in a browser that loads this file.
// `bundle` is what `gatescope.training.bundle` writes; the answer is one JSON value.

/** Train from nothing: load the worker and the kernels, begin, and go on until the training ends. */
export async function train(makeWorker, kernels, bundle, seed) {
  const began = performance.now()
  const worker = makeWorker()
  const waiting = new Map()
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.id)
    waiting.delete(data.id)
    if (data.ok) resolve(data.value)
    else reject(new Error(`${data.code} ${JSON.stringify(data.values)}`))
  }
  let id = 0
  const ask = (call) =>
    new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id: id++, ...call })
    })
  await ask({ call: 'kernels', ...(await kernels()) })
  const trained = (request) => ask({ call: 'train', run: 'play', request })
  let progress = await trained({ action: 'start', bundle, seed })
  const entries = []
  while (progress.ended === null) {
    progress = await trained({ action: 'advance', milliseconds: 50 })
    entries.push(...progress.entries)
  }
  const wall = (performance.now() - began) / 1000
  worker.terminate()
  const { score } = entries.find(({ step }) => step === progress.best)
  return { seed, updates: progress.step, seconds: progress.seconds, wall, score }
}

/** Run worker.js in this thread of Node. */
async function trainInNode([folder, bundleFile, seeds]) {
  const { readFile } = await import('node:fs/promises')
  const { runInThisContext } = await import('node:vm')
  const source = await readFile(`${folder}/worker.js`, 'utf8')
  const bundle = JSON.parse(await readFile(bundleFile, 'utf8'))
  const bytes = async (name) => new Uint8Array(await readFile(`${folder}/${name}.wasm`)).buffer
  const kernels = async () => ({ plain: await bytes('kernels'), relaxed: await bytes('kernels-relaxed') })
  const makeWorker = () => {
    const worker = { onmessage: null, terminate: () => {} }
    const scope = { onmessage: null, postMessage: (data) => setImmediate(() => worker.onmessage({ data })) }
    globalThis.self = scope
    runInThisContext(source)
    worker.postMessage = (data) => scope.onmessage({ data })
    return worker
  }
  const results = []
  for (let seed = 0; seed < Number(seeds); seed++) results.push(await train(makeWorker, kernels, bundle, seed))
  console.log(JSON.stringify(results))
  process.exit(0) // the channel of the worker would keep the process alive
}

if (typeof process !== 'undefined') await trainInNode(process.argv.slice(2))
