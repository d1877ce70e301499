// The diagram of a cell in pixels: where its nodes, wires and values are, for some width.
import type { CellGraph } from './cell-graph'
import { isComputed } from './cell-graph'
import { layeredLayout, type Layout, type Point } from './layered-layout'

export interface Place {
  x: number
  y: number
}

export interface Wire {
  from: number
  to: number
  /** The path, as an SVG path has it. */
  path: string
  end: Place
  /** A sign at the end of the wire that says which input it is: of a difference or a fraction. */
  mark: string
}

export interface DiagramNode extends Place {
  /** Half of its width. */
  half: number
  /** Whether its value has room in it, beside its name. */
  isWide: boolean
}

export interface DiagramGeometry {
  width: number
  height: number
  /** Whether the inputs are at the left; if not, they are at the top. */
  across: boolean
  nodes: DiagramNode[]
  wires: Wire[]
  /** Whether the values have room on the wires; if not, they are below the nodes. */
  onWires: boolean
}

/** Half the height of a node. */
export const RADIUS = 12
/** Half the width of an input: with its name in it, and with its name and its value. */
const [HALF_INPUT, HALF_WIDE_INPUT] = [19, 38]

/** Room in a layer from left to right, in pixels: of an input, of an operation, and of one with a name above it. */
const ROOMS = { input: 27, operation: 41, named: 54 }
/** The smallest distances between layers in which the values of neighbours do not touch. */
const MIN_LAYER_PITCH = { panel: 35, large: 74 }
/** How much larger everything is in a large view. */
export const LARGE = 1.35
const MAX_LAYER_PITCH = 150
/** The room behind the inputs, up to the first operations. */
const BEHIND_INPUTS = 28
/** From the top to the bottom: between layers, and at most between neighbours. */
const DOWN = { layers: 56, neighbours: 68 }
/** Room on a wire for a value. */
const VALUE_WIDTH = 46
const MARGIN = { side: 18, top: 24, bottom: 26 }
/** Between the wires into one node. */
const PORT_PITCH = 7

const MARKS: Partial<Record<string, string>> = { subtract: '−', divide: '÷' }

/**
 * Lay out a diagram. Inputs are at the left if the layers have room side by side, and otherwise at the top, each near to
 * what uses it.
 */
export function diagramGeometry(graph: CellGraph, available: number, isLarge = false): DiagramGeometry {
  const inputs = graph.nodes.map((node) => node.inputs)
  const isConstant = (node: number): boolean => ['constant', 'parameter'].includes(graph.nodes[node]!.kind)
  const roomOf = (node: number): number => {
    const { kind, signals } = graph.nodes[node]!
    if (signals.length) return ROOMS.named
    return ['drive', 'state'].includes(kind) ? ROOMS.input : ROOMS.operation
  }
  const wide = layeredLayout(inputs, isConstant, (node) => roomOf(node) / ROOMS.input)
  const width = available / (isLarge ? LARGE : 1)
  const begin = 2 * HALF_WIDE_INPUT + BEHIND_INPUTS
  const pitch = (width - begin - MARGIN.side) / Math.max(1, wide.layers - 2)
  const least = MIN_LAYER_PITCH[isLarge ? 'large' : 'panel']
  if (pitch >= least || isLarge) {
    const layerPitch = Math.max(least, Math.min(MAX_LAYER_PITCH, pitch))
    const x = (along: number): number => (along ? begin + (along - 1) * layerPitch : HALF_WIDE_INPUT + 1)
    const place = ({ along, across }: Point): Place => ({ x: x(along), y: MARGIN.top + across * ROOMS.input })
    const size = {
      width: x(wide.layers - 1) + MARGIN.side,
      height: MARGIN.top + wide.breadth * ROOMS.input + MARGIN.bottom,
    }
    return inPixels(graph, wide, true, place, size, layerPitch)
  }
  const tall = layeredLayout(inputs, () => true)
  const neighbours = Math.min(DOWN.neighbours, (width - 2 * HALF_INPUT) / Math.max(1, tall.breadth))
  const place = ({ along, across }: Point): Place => ({
    x: HALF_INPUT + across * neighbours,
    y: MARGIN.top + along * DOWN.layers,
  })
  const size = {
    width: 2 * HALF_INPUT + tall.breadth * neighbours,
    height: MARGIN.top + (tall.layers - 1) * DOWN.layers + MARGIN.bottom,
  }
  return inPixels(graph, tall, false, place, size, DOWN.layers)
}

function inPixels(
  graph: CellGraph,
  layout: Layout,
  across: boolean,
  place: (point: Point) => Place,
  size: { width: number; height: number },
  layerPitch: number,
): DiagramGeometry {
  const nodes = layout.nodes.map((point, node) => {
    const isInput = !isComputed(graph.nodes[node]!)
    const isWide = isInput && across && point.along === 0 && graph.nodes[node]!.kind !== 'constant'
    return { ...place(point), half: isWide ? HALF_WIDE_INPUT : isInput ? HALF_INPUT : RADIUS, isWide }
  })
  return {
    ...size,
    across,
    nodes,
    wires: wiresOf(graph, layout, across, nodes, place),
    onWires: across && layerPitch - 2 * RADIUS >= VALUE_WIDTH,
  }
}

function wiresOf(
  graph: CellGraph,
  layout: Layout,
  across: boolean,
  nodes: readonly DiagramNode[],
  place: (point: Point) => Place,
): Wire[] {
  const wires: Wire[] = []
  for (let node = 0, first = 0; node < graph.nodes.length; node++) {
    const { inputs, name } = graph.nodes[node]!
    const own = layout.wires.slice(first, (first += inputs.length))
    // The wires into a node arrive beside each other in the order in which they come, so that they do not cross there.
    const arrival = own.map((wire, k) => ({ k, from: wire.points.at(-2)!.across })).sort((a, b) => a.from - b.from)
    for (const [k, { from, to, points }] of own.entries()) {
      const port = (arrival.findIndex((one) => one.k === k) - (own.length - 1) / 2) * PORT_PITCH
      const places = points.map(place)
      const start = moved(places[0]!, across, across ? nodes[from]!.half : RADIUS, 0)
      const end = moved(places.at(-1)!, across, -RADIUS, port)
      const path = curve([start, ...places.slice(1, -1), end], across)
      wires.push({ from, to, path, end, mark: k === 1 ? (MARKS[name] ?? '') : '' })
    }
  }
  return wires
}

/** Return a place that is moved along the wires, and beside them. */
const moved = ({ x, y }: Place, across: boolean, along: number, beside: number): Place =>
  across ? { x: x + along, y: y + beside } : { x: x + beside, y: y + along }

/** Return a smooth path that leaves and reaches every place along the wires. */
function curve(places: readonly Place[], across: boolean): string {
  const text = ({ x, y }: Place): string => `${x.toFixed(1)} ${y.toFixed(1)}`
  return places
    .map((place, k) => {
      const before = places[k - 1]
      if (!before) return `M${text(place)}`
      const half = (across ? place.x - before.x : place.y - before.y) / 2
      return `C${text(moved(before, across, half, 0))} ${text(moved(place, across, -half, 0))} ${text(place)}`
    })
    .join('')
}

const [MIN_WIRE, MAX_WIRE] = [1, 7]

/** Return the width of a wire; its square is proportional to the value, and the largest width belongs to `limit`. */
export function wireWidth(value: number, limit: number): number {
  const share = Math.min(1, Math.abs(value) / limit)
  return Number.isNaN(share) ? MIN_WIRE : Math.max(MIN_WIRE, MAX_WIRE * Math.sqrt(share))
}
