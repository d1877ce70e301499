// Updates per second of one LSTM in the page, for benchmarks/playground.py: by our worker, and by TensorFlow.js.
// Both read batches of the same string as one-hot symbols, and do forward pass, backward pass and a step of Adam.

/** Start our worker on a bundle. Returns a function that trains for some milliseconds and returns updates per second. */
export async function ours(bundle, network) {
  const worker = new Worker('/worker.js')
  const waiting = new Map()
  worker.onmessage = ({ data }) => {
    if (!waiting.has(data.id) || data.ok === undefined) return
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
  const bytes = async (name) => (await fetch(`/${name}.wasm`)).arrayBuffer()
  await ask({ call: 'kernels', plain: await bytes('kernels'), relaxed: await bytes('kernels-relaxed') })
  const trained = (request) => ask({ call: 'train', run: 'play', request })
  await trained({ action: 'start', bundle, network, seed: 0 })
  return async (milliseconds) => {
    const before = (await trained({ action: 'advance', updates: 1 })).step
    const began = performance.now()
    const { step } = await trained({ action: 'advance', milliseconds })
    return (1000 * (step - before)) / (performance.now() - began)
  }
}

/** The same for a back end of TensorFlow.js: an LSTM layer, a dense layer, softmax cross-entropy, Adam. */
export async function tensorflow(backend, { neurons, symbols, ids, batch, rate }) {
  const tf = globalThis.tf
  if (backend === 'wasm') tf.wasm.setWasmPaths('/')
  if (!(await tf.setBackend(backend))) throw new Error(`no back end ${backend}`)
  await tf.ready()
  const steps = ids.length - 1
  const model = tf.sequential()
  model.add(tf.layers.lstm({ units: neurons, returnSequences: true, inputShape: [steps, symbols] }))
  model.add(tf.layers.dense({ units: symbols, activation: 'softmax' }))
  model.compile({ optimizer: tf.train.adam(rate), loss: 'categoricalCrossentropy' })
  const oneHot = (of) =>
    tf.tidy(() =>
      tf.oneHot(
        tf.tensor2d(
          Array.from({ length: batch }, () => of),
          [batch, steps],
          'int32',
        ),
        symbols,
      ),
    )
  const [inputs, targets] = [oneHot(ids.slice(0, -1)), oneHot(ids.slice(1))]
  const update = () => model.trainOnBatch(inputs, targets)
  for (let k = 0; k < 3; k++) await update()
  return async (milliseconds) => {
    await tf.setBackend(backend)
    const began = performance.now()
    let updates = 0
    do {
      await update()
      updates++
    } while (performance.now() - began < milliseconds)
    return (1000 * updates) / (performance.now() - began)
  }
}
