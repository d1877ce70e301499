// A network with its weights: symbols or numbers in, stacked recurrent layers, a readout that predicts.
//
// T step, B row of the batch, I number of a step, N neuron, V predicted value.
import { cast, type Precision, type Values, zeros } from './arrays'
import { type Configuration, readConfiguration } from './configuration'
import type { Inputs, Parameters } from './drives'
import { EngineError, shown } from './errors'
import { type Linear, readOut } from './head'
import { changesOf, type Intervention, ofRow } from './interventions'
import type { Kernels } from './kernels'
import { EngineLayer, type EngineName } from './layer'
import { readWeights } from './weights'

/** For each layer, the values of its states, (B, N) each. */
export type State = ReadonlyMap<string, Values>[]

export interface RunOptions {
  /** The states before the first step; the network's own initial states if missing. */
  state?: State | null
  /** For each layer, the signals and drives to return. */
  keep?: readonly (readonly string[])[]
  interventions?: readonly Intervention[]
  /** The number of the first step and of all steps, as interventions count; 0 and `first` + T. */
  first?: number
  total?: number
  /** For a batch of one row: its number among all rows, as interventions count. */
  row?: number
  ofRows?: number
}

export interface Output {
  /** For each layer, name -> (T, B, N); 0 after the end of a row. */
  signals: ReadonlyMap<string, Values>[]
  state: State
  /** The hidden states of the highest level side by side, (T, B, H): the inputs of the readout. */
  top: Values
  /** For each layer, the engine that ran it. */
  engines: EngineName[]
}

export interface OpenOptions {
  /** float32 if missing. */
  precision?: Precision
  /** The kernels; without them, the plain engine runs every layer. */
  kernels?: Kernels | null
  /** `auto` (if missing) takes the native engine for the cells that the kernels have. */
  engine?: 'auto' | EngineName
}

export class Network {
  /** The weights of each layer. */
  readonly parameters: readonly Parameters[]

  private constructor(
    readonly configuration: Configuration,
    readonly precision: Precision,
    readonly layers: readonly EngineLayer[],
    /** (V, E); null for one-hot or numeric inputs. */
    readonly embedding: Values | null,
    /** The states of each layer before the first step, (N,) each; no entry where they are 0. */
    readonly initial: readonly ReadonlyMap<string, Values>[],
    readonly readout: readonly Linear[],
    /** The training step of the weights. */
    readonly step: number,
  ) {
    this.parameters = layers.map((layer) => layer.parameters)
  }

  /** The number of products of weights in one step, without those of one-hot symbols. */
  get productsOfStep(): number {
    const isOneHot = this.embedding === null && this.configuration.vocabulary.unit !== 'number'
    const reads = this.parameters.map(({ inputWeights, recurrentWeights, neurons }, k) => {
      const readsSymbols = isOneHot && this.configuration.levels[0]!.includes(k)
      return recurrentWeights.length + (readsSymbols ? neurons : inputWeights.length)
    })
    return (
      reads.reduce((sum, count) => sum + count, 0) + this.readout.reduce((sum, { weights }) => sum + weights.length, 0)
    )
  }

  /** Open a network from the parsed network.json and the bytes of weights.safetensors. */
  static open(json: unknown, weights: ArrayBuffer, options: OpenOptions = {}): Network {
    const configuration = readConfiguration(json)
    const precision = options.precision ?? 'float32'
    const { values, step } = readWeights(configuration, weights, precision)
    const { layers, inputs, hidden } = configuration
    const parameters = layers.map(({ neurons }, k) => ({
      precision,
      neurons,
      inputs: inputs[k]!,
      inputWeights: values(`layers.${k}.input_weights`),
      biases: values(`layers.${k}.biases`),
      recurrentWeights: values(`layers.${k}.recurrent_weights`),
      neuronWeights: values(`layers.${k}.neuron_weights`),
    }))
    const initial = layers.map(
      ({ cell, initial: own }, k) =>
        new Map((own ? cell.states : []).map((state) => [state, values(`initial.${k}.${state}`)])),
    )
    const readout = [
      ...hidden.map(({ activation }, k) => ({
        weights: values(`hidden.${k}.weights`),
        biases: values(`hidden.${k}.biases`),
        activation,
      })),
      { weights: values('readout_weights'), biases: values('readout_biases'), activation: 'none' },
    ]
    const embedding = configuration.embedding === null ? null : values('embedding')
    const engines = parameters.map((own, k) => new EngineLayer(layers[k]!.cell, own, options.engine ?? 'auto'))
    const network = new Network(configuration, precision, engines, embedding, initial, readout, step)
    network.use(options.kernels ?? null)
    return network
  }

  /** Return a copy in float64, which the plain engine runs. */
  toFloat64(): Network {
    const exact = (values: Values): Values => cast('float64', values)
    const layers = this.layers.map(({ cell, parameters }) => {
      const { inputWeights, biases, recurrentWeights, neuronWeights } = parameters
      const weights = {
        ...parameters,
        precision: 'float64' as const,
        inputWeights: exact(inputWeights),
        biases: exact(biases),
        recurrentWeights: exact(recurrentWeights),
        neuronWeights: exact(neuronWeights),
      }
      return new EngineLayer(cell, weights, 'plain')
    })
    const initial = this.initial.map((states) => new Map([...states].map(([name, values]) => [name, exact(values)])))
    const readout = this.readout.map((layer) => ({
      ...layer,
      weights: exact(layer.weights),
      biases: exact(layer.biases),
    }))
    const embedding = this.embedding && exact(this.embedding)
    return new Network(this.configuration, 'float64', layers, embedding, initial, readout, this.step)
  }

  /** Take the kernels from now on; null frees what the network has in their memory. */
  use(kernels: Kernels | null): void {
    for (const layer of this.layers) layer.use(kernels)
  }

  /** Return ids (T, B), or numbers (T, B, I), as the inputs of `run`. */
  inputs(sequence: Int32Array | Float32Array | Float64Array, rows = 1, lengths: Int32Array | null = null): Inputs {
    const { vocabulary } = this.configuration
    const width = vocabulary.unit === 'number' ? vocabulary.size : 1
    const steps = sequence.length / (width * Math.max(1, rows))
    const fits =
      lengths === null || (lengths.length === rows && lengths.every((length) => length >= 0 && length <= steps))
    if (sequence instanceof Int32Array !== (vocabulary.unit !== 'number') || !Number.isInteger(steps) || !fits)
      throw new EngineError('INPUTS_INVALID', { unit: vocabulary.unit, count: sequence.length, rows })
    if (!(sequence instanceof Int32Array))
      return { steps, rows, ids: null, vectors: cast(this.precision, sequence), lengths }
    const wrong = sequence.find((id) => id < -1 || id > vocabulary.size)
    if (wrong !== undefined) throw new EngineError('INPUTS_ID_UNKNOWN', { id: wrong, last: vocabulary.size - 1 })
    return { steps, rows, ids: sequence, vectors: null, lengths }
  }

  /** Return the states of every layer before the first step, (B, N) each; 0 where the network has none of its own. */
  initialState(rows: number): State {
    return this.configuration.layers.map(({ cell, neurons }, k) => {
      const own = this.initial[k]!
      return new Map(
        cell.states.map((name) => {
          const values = zeros(this.precision, rows * neurons)
          for (let row = 0; own.has(name) && row < rows; row++) values.set(own.get(name)!, row * neurons)
          return [name, values]
        }),
      )
    })
  }

  /** Run the layers over the steps of a batch. */
  run(inputs: Inputs, options: RunOptions = {}): Output {
    const { layers, levels, names } = this.configuration
    const { steps, rows, lengths } = inputs
    const { state, keep = [], interventions = [], first = 0, total = first + steps, row = 0 } = options
    const ofRows = options.ofRows ?? rows
    const before = state ?? this.initialState(rows)
    this.#checkOptions(before, keep, rows)
    const output: Output = { signals: [], state: [], top: zeros(this.precision, 0), engines: [] }
    let reads = this.#firstInputs(inputs)
    for (const level of levels) {
      const hidden: Values[] = []
      for (const k of level) {
        const { cell, neurons, reverse } = layers[k]!
        const all = changesOf(interventions, names[k]!, names, cell, total, ofRows, neurons)
        const changes = ofRows === rows ? all : all.flatMap((change) => ofRow(change, row))
        const signals = [...(keep[k] ?? [])]
        const request = {
          cell,
          parameters: this.layers[k]!.parameters,
          inputs: reads,
          state: before[k]!,
          reverse,
          keep: [...new Set([...signals, 'h'])],
          first,
        }
        const result = this.layers[k]!.run(request, changes)
        hidden.push(result.values.get('h')!)
        output.signals.push(new Map(signals.map((name) => [name, result.values.get(name)!])))
        output.state.push(result.state)
        output.engines.push(result.engine)
      }
      const sizes = level.map((k) => layers[k]!.neurons)
      reads = { steps, rows, lengths, ids: null, vectors: sideBySide(hidden, sizes, steps * rows, this.precision) }
    }
    return { ...output, top: reads.vectors! }
  }

  /** Return what the lowest layers read: ids or numbers, or the embeddings of ids. */
  #firstInputs(inputs: Inputs): Inputs {
    if (this.embedding === null) return inputs
    return { ...inputs, ids: null, vectors: embedded(inputs.ids!, this.embedding, this.configuration.embedding!) }
  }

  /**
   * Return the inputs of the readout at the step that each direction reads last, (B, H), from those of all steps.
   *
   * For networks that predict once. Rows without steps have those of step 0.
   */
  atLastStep(top: Values, { steps, rows, lengths }: Inputs): Values {
    const { layers, levels, inputs } = this.configuration
    const width = inputs.at(-1)!
    const last = zeros(this.precision, rows * width)
    let column = 0
    for (const k of steps ? levels.at(-1)! : []) {
      const { neurons, reverse } = layers[k]!
      for (let row = 0; row < rows; row++) {
        const step = reverse ? 0 : Math.max(0, (lengths?.[row] ?? steps) - 1)
        const from = (step * rows + row) * width + column
        last.set(top.subarray(from, from + neurons), row * width + column)
      }
      column += neurons
    }
    return last
  }

  /** Return logits, or estimates of numbers, (rows, V), from the inputs of the readout, (rows, H). */
  readOut(top: Values, rows: number): Values {
    return readOut(this.readout, top, rows)
  }

  /** Refuse states of other sizes, and signals that do not exist. */
  #checkOptions(state: State, keep: readonly (readonly string[])[], rows: number): void {
    for (const [k, { cell, neurons }] of this.configuration.layers.entries()) {
      for (const name of cell.states)
        if (state[k]?.get(name)?.length !== rows * neurons)
          throw new EngineError('STATE_INVALID', { layer: this.configuration.names[k]!, state: name, rows, neurons })
      const unknown = keep[k]?.find((name) => !cell.signals.has(name) && !cell.drives.includes(name))
      if (unknown !== undefined)
        throw new EngineError('SIGNALS_UNKNOWN', {
          unknown: shown(unknown),
          signals: [...cell.signals.keys(), ...cell.drives].join(', '),
        })
    }
  }
}

/** Return the vector of each id from the rows of a table (V, E); an id that is no symbol has the zero vector. */
export function embedded(ids: Int32Array, table: Values, width: number): Values {
  const vectors = zeros(table instanceof Float32Array ? 'float32' : 'float64', ids.length * width)
  ids.forEach((id, place) => {
    if (id >= 0 && id * width < table.length) vectors.set(table.subarray(id * width, (id + 1) * width), place * width)
  })
  return vectors
}

/** Return arrays (rows, N) side by side; the array itself if it is the only one. */
export function sideBySide(
  arrays: readonly Values[],
  sizes: readonly number[],
  rows: number,
  precision: Precision,
): Values {
  if (arrays.length === 1) return arrays[0]!
  const width = sizes.reduce((sum, size) => sum + size, 0)
  const joined = zeros(precision, rows * width)
  let column = 0
  for (const [k, array] of arrays.entries()) {
    for (let row = 0; row < rows; row++)
      joined.set(array.subarray(row * sizes[k]!, (row + 1) * sizes[k]!), row * width + column)
    column += sizes[k]!
  }
  return joined
}
