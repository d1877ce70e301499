// The training of a network on a bundle: update by update, with a history, the best weights and checkpoints in memory.
// The twin of src/gatescope/training/loop.py.
import type { Precision, Values } from '../arrays'
import { type Configuration, readConfiguration } from '../configuration'
import { EngineError } from '../errors'
import type { Kernels } from '../kernels'
import type { EngineName } from '../layer'
import { Adam, clipNorm } from './adam'
import { batchOf } from './batches'
import type { Bundle } from './bundle'
import { Checkpoints } from './checkpoints'
import { crossEntropy, placesOf } from './loss'
import { type States, TrainedNetwork } from './network-pass'
import { type Predict, predictor } from './predict'
import { resumptionOf, type Resumption } from './resumption'
import { checkRecipe, learningRateAt, type Recipe, validatesAt } from './recipe'
import { levelShares, type LevelShare, type Score, scoreOf, validationOf } from './score'
import { Weights } from './weights'

/** A line of the history. Fields of the validation are missing between two validations. */
export interface Entry {
  /** The number of updates. */
  step: number
  /** The number of symbols that were read so far. */
  symbols: number
  /** The mean training loss since the last entry, in nats per target. */
  loss: number
  learningRate: number
  /** The norm of the gradient before clipping. */
  gradientNorm: number
  validationLoss?: number
  /** The validation loss without the worst stretches of a text. */
  typicalLoss?: number
  score?: Score
}

export type End = 'solved' | 'finished' | 'no improvement'

export interface TrainingOptions {
  /** The network.json to train; the bundle suggests one. */
  network?: unknown
  /** Settings that differ from those of the bundle. */
  recipe?: Partial<Recipe>
  /** The seed of the initial weights and of the batches; 0 if missing. */
  seed?: number | bigint
  /** weights.safetensors to begin with, instead of the initial weights of the seed. The optimizer begins anew. */
  weights?: ArrayBuffer
  /** float32 if missing. */
  precision?: Precision
  /** `auto` (if missing) takes the native engine for the cells that the kernels have. */
  engine?: 'auto' | EngineName
}

const MAX_DIVERGED_VALIDATIONS = 3 // in a row; then training stops
const DIVERGED_FACTOR = 2 // times the loss of equal probabilities: the training has diverged

export class Training {
  readonly recipe: Recipe
  readonly configuration: Configuration
  /** The network.json that is trained. */
  readonly network: unknown
  readonly seed: number | bigint
  readonly history: Entry[] = []
  readonly checkpoints: Checkpoints
  /** The number of updates so far. */
  step = 0
  /** Why training is over; null if it is not. */
  ended: End | null = null
  readonly #weights: Weights
  readonly #trained: TrainedNetwork
  readonly #adam: Adam
  #states: States | null = null
  #symbols = 0
  #sum = { nats: 0, targets: 0 }
  #best: { rank: [number, number]; values: Values; step: number; score: Score | null } | null = null
  #sinceBest = 0
  #solvedInARow = 0
  #divergedInARow = 0

  /** Throws an EngineError for a network or settings that cannot be trained here. */
  constructor(
    readonly bundle: Bundle,
    kernels: Kernels | null,
    readonly options: TrainingOptions = {},
  ) {
    this.recipe = checkRecipe({ ...bundle.recipe, ...options.recipe })
    this.network = options.network ?? bundle.network
    this.configuration = readConfiguration(this.network)
    checkNetwork(this.network, this.configuration, bundle)
    this.seed = options.seed ?? 0
    const precision = options.precision ?? 'float32'
    this.#weights = options.weights
      ? Weights.read(this.configuration, options.weights, precision)
      : Weights.initial(this.configuration, this.seed, precision)
    this.#trained = new TrainedNetwork(this.configuration, this.#weights, kernels, options.engine)
    this.#adam = new Adam(this.#weights.values.length, this.#weights.precision)
    this.checkpoints = new Checkpoints(this.recipe.reportEvery)
    this.checkpoints.add(0, this.#weights.values)
  }

  /** Do one update, and the validation after it if one is due. Returns the new entry of the history, if any. */
  advance(): Entry | null {
    if (this.ended !== null) return null
    const { learningRate, gradientNorm } = this.#update()
    const validates = validatesAt(this.recipe, this.step)
    this.checkpoints.add(this.step, this.#weights.values)
    if (!validates && this.step % this.recipe.reportEvery) return null
    const loss = this.#sum.nats / Math.max(1, this.#sum.targets)
    const entry: Entry = { step: this.step, symbols: this.#symbols, loss, learningRate, gradientNorm }
    this.#sum = { nats: 0, targets: 0 }
    this.history.push(entry)
    if (validates) this.#validate(entry)
    return entry
  }

  /** Return the bytes of weights.safetensors: the present ones, or those of a step among the checkpoints. */
  bytes(step?: number): ArrayBuffer {
    if (step === undefined) return this.#weights.toBytes(this.step)
    return this.#weights.toBytes(step, this.checkpoints.at(step))
  }

  /** The engine of each layer. */
  get engines(): EngineName[] {
    return this.#trained.engines
  }

  /** The step of the best weights of all validations; null before the first. */
  get bestStep(): number | null {
    return this.#best?.step ?? null
  }

  /** Return the bytes of the best weights; the present ones before the first validation. */
  bestBytes(): ArrayBuffer {
    return this.#best ? this.#weights.toBytes(this.#best.step, this.#best.values) : this.bytes()
  }

  /** Return the score of the best weights; of the present ones before the first validation. */
  bestScore(): Score {
    return this.#best?.score ?? this.#scoreOf(this.#best?.values ?? this.#weights.values)
  }

  /** Return what Python needs to go on from the present weights as this training would. */
  resumption(): Resumption {
    const rank = this.#best?.rank ?? null
    const states = this.bundle.training.kind === 'streams' ? this.#states : null
    return resumptionOf(this.#weights, this.#adam, states, {
      step: this.step,
      symbols: this.#symbols,
      nats: this.#sum.nats,
      targets: this.#sum.targets,
      // Python does not score a text while it trains.
      best: rank && this.bundle.score.rule === 'nats' ? [0, rank[1]] : rank,
      since_best: this.#sinceBest,
      solved_in_a_row: this.#solvedInARow,
      diverged_in_a_row: this.#divergedInARow,
    })
  }

  /** Return how many strings of the first levels are right with the weights of a checkpoint, the best or the present ones. */
  levelShares(step: number | 'best' | 'present', most: number): LevelShare[] {
    const { values } = this.#weights
    const chosen = step === 'present' ? values : step === 'best' ? this.#best?.values : this.checkpoints.at(step)
    return this.#predictWith(chosen ?? values, (predict) => levelShares(this.bundle, predict, most))
  }

  /** Return the score of weights. */
  #scoreOf(values: Values): Score {
    return this.#predictWith(values, (predict) => scoreOf(this.bundle, predict))
  }

  #predictWith<T>(values: Values, work: (predict: Predict) => T): T {
    const present = this.#weights.values.slice()
    this.#weights.values.set(values)
    try {
      return work(predictor(this.#trained))
    } finally {
      this.#weights.values.set(present)
    }
  }

  #update(): { learningRate: number; gradientNorm: number } {
    const { recipe } = this
    const batch = batchOf(this.bundle, recipe, this.seed, this.step)
    const learningRate = learningRateAt(recipe, this.step)
    const pass = this.#trained.run(batch, this.#statesBefore(batch.continues), true)
    let nats: number
    try {
      nats = crossEntropy(pass.logits, batch.targets, this.configuration.predicted)
      pass.backward(pass.logits)
      this.#states = pass.final
    } finally {
      pass.free()
    }
    const gradientNorm = clipNorm(this.#weights.gradients, recipe.clip)
    if (!Number.isFinite(nats) || !Number.isFinite(gradientNorm))
      throw new EngineError('TRAINING_NOT_FINITE', { step: this.step, rate: recipe.learningRate })
    if (recipe.readoutDecay) {
      const readout = this.#weights.value('readout_weights')
      for (let k = 0; k < readout.length; k++) readout[k]! *= 1 - learningRate * recipe.readoutDecay
    }
    this.#adam.update(this.#weights.values, this.#weights.gradients, learningRate)
    this.step++
    this.#symbols += batch.lengths?.reduce((sum, length) => sum + length, 0) ?? batch.steps * batch.rows
    this.#sum.nats += nats
    this.#sum.targets += placesOf(batch.targets, this.configuration.predicted)
    return { learningRate, gradientNorm }
  }

  /** Return the carried state of rows that go on, and the initial state of the others; null: all rows are new. */
  #statesBefore(continues: readonly boolean[] | null): States | null {
    if (this.#states === null || continues === null || !continues.includes(true)) return null
    const initial = this.#trained.initialStates(continues.length)
    for (const [k, layer] of initial.entries())
      for (const [name, values] of layer) {
        const neurons = values.length / continues.length
        for (const [row, carried] of continues.entries()) {
          const [from, to] = [row * neurons, (row + 1) * neurons]
          if (carried) values.set(this.#states[k]!.get(name)!.subarray(from, to), from)
        }
      }
    return initial
  }

  #validate(entry: Entry): void {
    const predict = predictor(this.#trained)
    const { loss, typical } = validationOf(this.bundle, predict)
    if (!Number.isFinite(loss))
      throw new EngineError('TRAINING_NOT_FINITE', { step: this.step, rate: this.recipe.learningRate })
    entry.validationLoss = loss
    if (this.bundle.validation.rule === 'stretches') entry.typicalLoss = typical
    if (this.recipe.scoresWhileTraining) {
      entry.score = scoreOf(this.bundle, predict)
      this.#solvedInARow = entry.score.solved ? this.#solvedInARow + 1 : 0
    }
    const bound = DIVERGED_FACTOR * Math.log(Math.max(2, this.configuration.predicted))
    const diverged = Math.min(loss, entry.loss) > bound
    this.#divergedInARow = diverged ? this.#divergedInARow + 1 : 0
    this.#compare(entry, typical, diverged)
    const finished = this.step >= this.recipe.steps
    if (this.#divergedInARow >= MAX_DIVERGED_VALIDATIONS || (diverged && finished))
      throw new EngineError('TRAINING_DIVERGED', { step: this.step, rate: this.recipe.learningRate })
    if (this.recipe.untilSolved && this.#solvedInARow >= 2) this.ended = 'solved'
    else if (this.recipe.patience !== null && this.#sinceBest >= this.recipe.patience) this.ended = 'no improvement'
    else if (finished) this.ended = 'finished'
  }

  /** Keep the weights if they are the best: a better score, or the same score and a smaller loss. */
  #compare({ score }: Entry, loss: number, diverged: boolean): void {
    const value = score === undefined ? 0 : score.better === 'higher' ? score.value : -score.value
    const best = this.#best?.rank
    if (diverged || (best && (value < best[0] || (value === best[0] && -loss <= best[1])))) {
      this.#sinceBest++
      return
    }
    this.#sinceBest = 0
    const values = this.#weights.values.slice()
    this.#best = { rank: [value, -loss], values, step: this.step, score: score ?? null }
  }
}

/** Refuse a network that does not read and predict the symbols of a bundle, or that drops inputs at random. */
function checkNetwork(network: unknown, { vocabulary, readout }: Configuration, bundle: Bundle): void {
  const symbols = JSON.stringify(bundle.vocabulary.symbols)
  if (JSON.stringify(vocabulary.symbols) !== symbols || readout.kind !== 'symbols')
    throw new EngineError('TRAINING_SYMBOLS_DIFFER', { task: bundle.task })
  const { dropout } = network as { dropout: unknown }
  if (dropout !== 0) throw new EngineError('TRAINING_DROPOUT_UNSUPPORTED', { dropout: String(dropout) })
}
