// The path of a layer through the space of its states: two principal components, or the values of two neurons.
import { type Components, principalComponents, projections } from '../../engine/principal-components'
import { glyph } from './characters'
import { variances } from './neuron-order'

/** A path needs this many steps; fewer show no direction. */
export const MIN_SPACE_STEPS = 3
/** Symbols with a colour of their own; the rarer ones share one. */
export const MAX_SYMBOL_COLOURS = 6
/** The products of the components of a text. Longer texts use every k-th step for the directions. */
const MAX_PRODUCTS = 1 << 27
/** The neurons that are named as those of which a component has most. */
const NAMED_NEURONS = 3

export interface SpaceAxis {
  values: Float64Array
  /** The neuron; null for a component. */
  neuron: number | null
  /** The share of the variance along a component. */
  share: number | null
  /** The neurons of which a component has most, with their weights. */
  weights: { neuron: number; weight: number }[]
}

export interface SpacePath {
  x: SpaceAxis
  /** Null where the states vary along one direction alone. */
  y: SpaceAxis | null
  /** Every how many steps a step was used for the components. */
  stride: number
}

/** Return the path along the first two principal components of the values [N, T]; null if nothing varies. */
export function componentPath(values: Float32Array, steps: number): SpacePath | null {
  const neurons = steps ? values.length / steps : 0
  const fewer = Math.min(neurons, steps)
  const stride = Math.max(1, Math.ceil((fewer * neurons * steps) / 2 / MAX_PRODUCTS))
  const components = principalComponents(values, steps, 2, stride)
  const [x, y] = components.directions.map((_, k) => componentAxis(values, steps, components, k))
  return x ? { x, y: y ?? null, stride } : null
}

function componentAxis(values: Float32Array, steps: number, components: Components, k: number): SpaceAxis {
  const direction = components.directions[k]!
  const order = [...direction.keys()].sort((a, b) => Math.abs(direction[b]!) - Math.abs(direction[a]!))
  return {
    values: projections(values, steps, components, direction),
    neuron: null,
    share: components.shares[k]!,
    weights: order.slice(0, NAMED_NEURONS).map((neuron) => ({ neuron, weight: direction[neuron]! })),
  }
}

/** Return the path of two neurons. */
export function neuronPath(values: Float32Array, steps: number, pair: readonly [number, number]): SpacePath {
  const [x, y] = pair.map((neuron) => ({
    values: Float64Array.from(values.subarray(neuron * steps, (neuron + 1) * steps)),
    neuron,
    share: null,
    weights: [],
  }))
  return { x: x!, y: y!, stride: 1 }
}

/** Return a neuron and the one that varies most beside it: the axes before anybody chooses some. */
export function firstPair(values: Float32Array, steps: number, neuron: number): [number, number] {
  const sizes = variances(values, steps)
  let best = -1
  sizes.forEach((size, n) => {
    if (n !== neuron && (best < 0 || size > sizes[best]!)) best = n
  })
  return [neuron, best < 0 ? neuron : best]
}

export interface SymbolGroup {
  label: string
  /** The printed form. */
  name: string
  count: number
}

/** Return the most frequent symbols of a text, in the order of their first step, and how many others there are. */
export function symbolGroups(labels: readonly string[]): { groups: SymbolGroup[]; others: number } {
  const counts = new Map<string, number>()
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1)
  // Every symbol has its colour if there is one for each; the order of two equal counts is that of their first steps.
  const common = new Set(
    [...counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, MAX_SYMBOL_COLOURS)
      .map(([label]) => label),
  )
  const groups = [...counts]
    .filter(([label]) => common.has(label))
    .map(([label, count]) => ({ label, name: glyph(label).text, count }))
  return { groups, others: labels.length - groups.reduce((sum, { count }) => sum + count, 0) }
}

/** Where values lie in a box, in CSS pixels. */
export interface SpaceLayout {
  width: number
  height: number
  x: (value: number) => number
  y: (value: number) => number
  ends: { x: [number, number]; y: [number, number] }
}

const MARGIN = { left: 14, right: 14, top: 14, bottom: 14 }

function extent(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Infinity, -Infinity]
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!
    if (!Number.isFinite(value)) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) return [-1, 1]
  return low === high ? [low - 0.5, high + 0.5] : [low, high]
}

/** Lay out a path. Components have one unit for both axes, so that distances are those of the states. */
export function spaceLayout(path: SpacePath, width: number, height: number): SpaceLayout {
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom }
  let x = extent(path.x.values)
  let y = path.y ? extent(path.y.values) : ([-1, 1] as [number, number])
  if (path.x.neuron === null && path.y) {
    const unit = Math.max((x[1] - x[0]) / inner.width, (y[1] - y[0]) / inner.height)
    x = widened(x, unit * inner.width)
    y = widened(y, unit * inner.height)
  }
  return {
    width,
    height,
    x: (value) => MARGIN.left + ((value - x[0]) / (x[1] - x[0])) * inner.width,
    y: (value) => height - MARGIN.bottom - ((value - y[0]) / (y[1] - y[0])) * inner.height,
    ends: { x, y },
  }
}

const widened = ([low, high]: [number, number], span: number): [number, number] => {
  const middle = (low + high) / 2
  return [middle - span / 2, middle + span / 2]
}

/** Return the step whose dot is nearest to a point, within a radius; null if there is none. */
export function stepNear(path: SpacePath, layout: SpaceLayout, px: number, py: number, radius: number): number | null {
  let nearest: number | null = null
  let least = radius
  for (let step = 0; step < path.x.values.length; step++) {
    const distance = Math.hypot(layout.x(path.x.values[step]!) - px, layout.y(path.y?.values[step] ?? 0) - py)
    // Of dots on each other the last one is on top.
    if (distance <= least) [least, nearest] = [distance, step]
  }
  return nearest
}
