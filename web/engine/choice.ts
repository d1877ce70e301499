// The choice of the next symbol from its prediction: the rule of Choice in src/gatescope/sampling.py.
import { EngineError } from './errors'
import type { Generator } from './random'
import { largest, ranked } from './ranking'

/** How the next symbol is chosen. */
export interface Choice {
  /** Flattens predictions above 1 and sharpens them below. */
  temperature: number
  /** Draw from the k most probable symbols only; null: from all. */
  topK: number | null
  /** Draw only from the most probable symbols that together reach this probability; null: from all. */
  topP: number | null
  /** Always take the most probable symbol. */
  greedy: boolean
}

/** Refuse settings that leave nothing to draw from. */
export function checkChoice({ temperature, topK, topP }: Choice): void {
  if (!(temperature > 0 && temperature < Infinity)) throw new EngineError('SAMPLING_TEMPERATURE_RANGE', { temperature })
  if (topK !== null && !(Number.isInteger(topK) && topK >= 1))
    throw new EngineError('SAMPLING_TOP_K_RANGE', { top_k: topK })
  if (topP !== null && !(topP > 0 && topP <= 1)) throw new EngineError('SAMPLING_TOP_P_RANGE', { top_p: topP })
}

/**
 * Draw the id of one symbol with one uniform number u of the generator.
 *
 * A symbol has the weight exp((logit - largest logit) / temperature), or 0 if it is left out. The drawn symbol is the
 * first, in the order of the ids, at which the sum of the weights exceeds u times the sum of all weights.
 */
export function draw(logits: ArrayLike<number>, choice: Choice, generator: Generator): number {
  const best = largest(logits)
  const top = logits[best]!
  if (!Number.isFinite(top)) throw new EngineError('SAMPLING_LOGITS', { largest: String(top) })
  if (choice.greedy) return best
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - top) / choice.temperature))
  if (choice.topK !== null || choice.topP !== null) restrict(weights, ranked(logits, logits.length), choice)
  let total = 0
  for (const weight of weights) total += weight
  const bound = generator.uniform() * total
  let [sum, last] = [0, 0]
  for (const [id, weight] of weights.entries()) {
    sum += weight
    if (sum > bound) return id
    if (weight) last = id
  }
  return last // the product may round up to the sum itself
}

/** Set the weights of the symbols that top-k and top-p leave out to 0; `order` ranks the symbols. */
function restrict(weights: Float64Array, order: readonly number[], { topK, topP }: Choice): void {
  const total = order.reduce((sum, id) => sum + weights[id]!, 0)
  let sum = 0
  for (const [rank, id] of order.entries()) {
    if (rank >= (topK ?? Infinity)) weights[id] = 0
    sum += weights[id]!
    // A symbol stays if the more probable ones have not yet reached top-p: the most probable always stays.
    if (sum - weights[id]! >= (topP ?? Infinity) * total) weights[id] = 0
  }
}
