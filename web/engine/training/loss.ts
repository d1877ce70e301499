// Softmax cross-entropy, and its gradient.
//
// P place: a step of a row that has a target; V predicted symbol or class.
import type { Values } from '../arrays'
import { toLogProbabilities } from '../head'

/** The targets of P places: the ids (P,), or the probabilities (P, V). */
export type Targets = { ids: Int32Array } | { probabilities: Float64Array }

/** Return the number of places. */
export const placesOf = (targets: Targets, values: number): number =>
  'ids' in targets ? targets.ids.length : targets.probabilities.length / values

/**
 * Return the sum of the loss over all places in nats, and replace the logits (P, V) by the gradient of the mean.
 *
 * The mean is over places; without places, the loss is 0.
 */
export function crossEntropy(logits: Values, targets: Targets, values: number): number {
  const places = placesOf(targets, values)
  toLogProbabilities(logits, places)
  let nats = 0
  for (let place = 0; place < places; place++) {
    const at = place * values
    if ('ids' in targets) {
      const target = at + targets.ids[place]!
      nats -= logits[target]!
      for (let k = at; k < at + values; k++) logits[k] = (Math.exp(logits[k]!) - (k === target ? 1 : 0)) / places
      continue
    }
    let total = 0
    for (let k = at; k < at + values; k++) {
      const probability = targets.probabilities[k]!
      if (probability > 0) nats -= probability * logits[k]!
      total += probability
    }
    for (let k = at; k < at + values; k++)
      logits[k] = (Math.exp(logits[k]!) * total - targets.probabilities[k]!) / places
  }
  return nats
}
