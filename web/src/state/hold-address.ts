// Holds in the address of the page: `hold=LAYER.NEURON.SIGNAL.VALUE.STEPS`, once for each hold.
//
//     hold=0.4.f.0.12-      f of neuron 4 of layer 0 is held at 0 from step 12 on
//     hold=1r.0.c.-0.5.3    c of neuron 0 of the backward direction of layer 1 is held at -0.5 at step 3
//     hold=0.2.h.1.0-       h of neuron 2 is held at 1 over the whole text
//     hold=0.2.h.1.3-7      ... from step 3 to step 7
//
// Named sets of holds: `sets=NAME:HOLD,HOLD`, once for each set; `against=NAME` compares the holds with one.
//
// Only VALUE may have a dot of its own: the last dot separates it from STEPS.
import type { Hold, HoldSet } from '../data/view'

const LAYER = /^layer(\d+)(_reverse)?$/
const HOLD =
  /^(?<layer>\d{1,4})(?<reverse>r?)\.(?<neuron>\d{1,9})\.(?<signal>[^.]{1,80})\.(?<value>-?\d+(?:\.\d+)?(?:e[+-]?\d{1,3})?)\.(?<first>\d{1,9})(?<to>-?)(?<last>\d{0,9})$/

/** Return a hold as it stands in the address. */
export function holdText({ layer, neuron, signal, value, first, last }: Hold): string {
  const [, number = '0', reverse] = LAYER.exec(layer) ?? []
  const steps = last === null ? `${first}-` : last === first ? String(first) : `${first}-${last}`
  return `${number}${reverse ? 'r' : ''}.${neuron}.${signal}.${value}.${steps}`
}

/** Return the hold of a part of an address; null if it does not describe one. */
export function parseHold(part: string): Hold | null {
  const fields = HOLD.exec(part)?.groups as Record<string, string> | undefined
  if (!fields || (!fields['to'] && fields['last'])) return null
  const [value, first] = [Number(fields['value']), Number(fields['first'])]
  const last = fields['last'] ? Number(fields['last']) : fields['to'] ? null : first
  // The engine computes in float32, in which a larger number is no number.
  if (!Number.isFinite(Math.fround(value)) || (last !== null && last < first)) return null
  const layer = `layer${Number(fields['layer'])}${fields['reverse'] ? '_reverse' : ''}`
  return { layer, neuron: Number(fields['neuron']), signal: fields['signal']!, value, first, last }
}

export const MAX_SETS = 20
export const MAX_SET_NAME = 40

/** Return a set as it stands in the address. */
export const setText = ({ name, holds }: HoldSet): string => `${name}:${holds.map(holdText).join(',')}`

/** Return the set of a part of an address; null if it does not describe one. */
export function parseSet(part: string): HoldSet | null {
  // Holds have no colon; the name may.
  const colon = part.lastIndexOf(':')
  const name = part.slice(0, colon).trim()
  const holds = part
    .slice(colon + 1)
    .split(',')
    .map(parseHold)
  if (colon < 1 || !name || [...name].length > MAX_SET_NAME || holds.some((hold) => hold === null)) return null
  return { name, holds: holds as Hold[] }
}
