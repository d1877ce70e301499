// The layout of a graph in layers: wires lead from lower layers to higher ones, with few crossings and few bends.
//
// The method of Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system structures":
// layers by the longest path, bends in the layers that a wire passes, orders by barycentres, and then positions. The
// positions in a layer are those nearest to the neighbours' that keep the order and the distances: an isotonic regression.

export interface Point {
  /** The layer, and the position in it; neighbours in a layer are 1 apart unless they have other rooms, bends less. */
  along: number
  across: number
}

export interface Layout {
  nodes: Point[]
  /** A wire for each input of each node, in their order: from its source, through its bends, to the node. */
  wires: { from: number; to: number; points: Point[] }[]
  layers: number
  /** The largest position. */
  breadth: number
  crossings: number
}

/** A node of the graph, or a bend of wires from one. */
interface Vertex {
  layer: number
  /** The number of the node; null for a bend. */
  node: number | null
  before: number[]
  after: number[]
}

const SWEEPS = 24
/** Beginnings of the search for an order with few crossings. */
const STARTS = 40
/** More vertices are not swapped pair by pair. */
const MAX_SWAPPED_VERTICES = 400
const BEND_GAP = 0.55
/** How much more a bend than a node keeps its wire straight. */
const BEND_WEIGHT = 4
const REST_WEIGHT = 0.01

/**
 * Lay out a graph.
 *
 * @param inputs for each node the nodes that lead to it, which have smaller numbers
 * @param roomOf how much room a node has in its layer: neighbours are half of the sum of theirs apart
 * @param isLate whether a node is as near as possible to what uses it; if not, it is as near as possible to its inputs
 */
export function layeredLayout(
  inputs: readonly (readonly number[])[],
  isLate: (node: number) => boolean = () => false,
  roomOf: (node: number) => number = () => 1,
): Layout {
  const { vertices, paths } = verticesOf(inputs, layersOf(inputs, isLate))
  const count = 1 + Math.max(-1, ...vertices.map(({ layer }) => layer))
  const orders = ordersOf(vertices, inputs, count)
  const across = positionsOf(
    orders,
    vertices,
    vertices.map(({ node }) => (node === null ? BEND_GAP : roomOf(node))),
  )
  const point = (vertex: number): Point => ({ along: vertices[vertex]!.layer, across: across[vertex]! })
  return {
    nodes: inputs.map((_, node) => point(node)),
    wires: paths.map(({ from, to, through }) => ({ from, to, points: [from, ...through, to].map(point) })),
    layers: count,
    breadth: Math.max(0, ...across),
    crossings: crossingsOf(vertices, orders),
  }
}

function layersOf(inputs: readonly (readonly number[])[], isLate: (node: number) => boolean): number[] {
  const layers: number[] = []
  for (const from of inputs) layers.push(1 + Math.max(-1, ...from.map((node) => layers[node]!)))
  const last = layers.map(() => Infinity)
  for (let node = inputs.length - 1; node >= 0; node--) {
    if (isLate(node) && last[node] !== Infinity) layers[node] = last[node]!
    for (const from of inputs[node]!) last[from] = Math.min(last[from]!, layers[node]! - 1)
  }
  return layers
}

interface Path {
  from: number
  to: number
  through: number[]
}

/** Return the nodes, the bends in the layers that wires pass, and the way of each wire. Wires of one node share bends. */
function verticesOf(
  inputs: readonly (readonly number[])[],
  layers: readonly number[],
): { vertices: Vertex[]; paths: Path[] } {
  const vertices: Vertex[] = layers.map((layer, node) => ({ layer, node, before: [], after: [] }))
  const bends = new Map<string, number>()
  const connect = (from: number, to: number): void => {
    if (vertices[from]!.after.includes(to)) return
    vertices[from]!.after.push(to)
    vertices[to]!.before.push(from)
  }
  const paths: Path[] = []
  for (const [to, sources] of inputs.entries())
    for (const from of sources) {
      const through: number[] = []
      let last = from
      for (let layer = layers[from]! + 1; layer < layers[to]!; layer++) {
        const key = `${from} ${layer}`
        if (!bends.has(key)) bends.set(key, vertices.push({ layer, node: null, before: [], after: [] }) - 1)
        connect(last, bends.get(key)!)
        through.push((last = bends.get(key)!))
      }
      connect(last, to)
      paths.push({ from, to, through })
    }
  return { vertices, paths }
}

/** Return the vertices of each layer in an order with few crossings. */
function ordersOf(vertices: readonly Vertex[], inputs: readonly (readonly number[])[], count: number): number[][] {
  const isSmall = vertices.length <= MAX_SWAPPED_VERTICES
  let [best, fewest]: [number[][], number] = [[], Infinity]
  for (let start = 0; start < (isSmall ? STARTS : 1) && fewest > 0; start++) {
    let orders = firstOrders(vertices, inputs, count, start)
    for (let sweep = 0; sweep <= SWEEPS && fewest > 0; sweep++) {
      const crossings = crossingsOf(vertices, orders)
      if (crossings < fewest) [best, fewest] = [orders.map((order) => [...order]), crossings]
      orders = swept(vertices, orders, sweep % 2 === 0)
      if (isSmall) swap(vertices, orders)
    }
  }
  return best
}

/**
 * Return the order in which the last nodes reach their inputs: a tree has no crossings in it. Further starts visit the
 * inputs in other orders, which are the same in every drawing.
 */
function firstOrders(
  vertices: readonly Vertex[],
  inputs: readonly (readonly number[])[],
  count: number,
  start: number,
): number[][] {
  const orders: number[][] = Array.from({ length: count }, () => [])
  const seen = new Set<number>()
  let seed = start
  const inOrder = (before: readonly number[]): readonly number[] => {
    if (!start) return before
    seed = (seed * 16807 + 11) % 2147483647
    return seed % 3 ? before : before.toReversed()
  }
  const visit = (vertex: number): void => {
    if (seen.has(vertex)) return
    seen.add(vertex)
    inOrder(vertices[vertex]!.before).forEach(visit)
    orders[vertices[vertex]!.layer]!.push(vertex)
  }
  for (let node = inputs.length - 1; node >= 0; node--) visit(node)
  return orders
}

/** Sort every layer by the mean places of the neighbours in the layer before it, or after it. */
function swept(vertices: readonly Vertex[], orders: readonly number[][], forward: boolean): number[][] {
  const next = orders.map((order) => [...order])
  const place = new Float64Array(vertices.length)
  const set = (order: readonly number[]): void => order.forEach((vertex, k) => (place[vertex] = k))
  next.forEach(set)
  const sequence = forward ? next : next.toReversed()
  for (const order of sequence) {
    const mean = new Map(
      order.map((vertex) => {
        const neighbours = forward ? vertices[vertex]!.before : vertices[vertex]!.after
        const sum = neighbours.reduce((total, other) => total + place[other]!, 0)
        return [vertex, neighbours.length ? sum / neighbours.length : place[vertex]!]
      }),
    )
    order.sort((a, b) => mean.get(a)! - mean.get(b)!)
    set(order)
  }
  return next
}

/** Exchange neighbours in a layer as long as that saves a crossing. */
function swap(vertices: readonly Vertex[], orders: readonly number[][]): void {
  const place = new Float64Array(vertices.length)
  for (const order of orders) order.forEach((vertex, k) => (place[vertex] = k))
  /** Count the crossings of the wires of two vertices if the first one is above the second one. */
  const pairs = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, one) => sum + b.filter((other) => place[one]! > place[other]!).length, 0)
  for (const order of orders)
    for (let changed = true; changed;) {
      changed = false
      for (let k = 0; k + 1 < order.length; k++) {
        const [a, b] = [vertices[order[k]!]!, vertices[order[k + 1]!]!]
        if (pairs(a.before, b.before) + pairs(a.after, b.after) <= pairs(b.before, a.before) + pairs(b.after, a.after))
          continue
        const [first, second] = [order[k]!, order[k + 1]!]
        ;[order[k], order[k + 1]] = [second, first]
        ;[place[second], place[first]] = [k, k + 1]
        changed = true
      }
    }
}

function crossingsOf(vertices: readonly Vertex[], orders: readonly number[][]): number {
  const place = new Float64Array(vertices.length)
  for (const order of orders) order.forEach((vertex, k) => (place[vertex] = k))
  let crossings = 0
  for (const order of orders) {
    const ends = order.flatMap((vertex) => vertices[vertex]!.after.map((other) => place[other]!).sort((a, b) => a - b))
    for (let k = 1; k < ends.length; k++) for (let j = 0; j < k; j++) if (ends[j]! > ends[k]!) crossings++
  }
  return crossings
}

/** Return the position of each vertex in its layer; the smallest one is 0. */
function positionsOf(orders: readonly number[][], vertices: readonly Vertex[], rooms: readonly number[]): number[] {
  const across = new Array<number>(vertices.length).fill(0)
  const gapOf = (a: number, b: number): number => (rooms[a]! + rooms[b]!) / 2
  const gaps = orders.map((order) => order.map((vertex, k) => (k ? gapOf(order[k - 1]!, vertex) : 0)))
  orders.forEach((order, layer) => {
    let position = 0
    order.forEach((vertex, k) => (across[vertex] = position += gaps[layer]![k]!))
  })
  const place = (layer: number, neighboursOf: (vertex: Vertex) => number[]): void => {
    const order = orders[layer]!
    const [wanted, weights]: [number[], number[]] = [[], []]
    for (const vertex of order) {
      const neighbours = neighboursOf(vertices[vertex]!)
      const weightOf = (other: number): number => (vertices[other]!.node === null ? BEND_WEIGHT : 1)
      const weight = neighbours.reduce((sum, other) => sum + weightOf(other), 0)
      const sum = neighbours.reduce((total, other) => total + weightOf(other) * across[other]!, 0)
      wanted.push(weight ? sum / weight : across[vertex]!)
      weights.push(weight ? weight * (vertices[vertex]!.node === null ? BEND_WEIGHT : 1) : REST_WEIGHT)
    }
    nearest(wanted, weights, gaps[layer]!).forEach((position, k) => (across[order[k]!] = position))
  }
  const last = orders.length - 1
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const both = sweep >= SWEEPS / 2
    for (let layer = 0; layer <= last; layer++)
      place(layer, ({ before, after }) => (both ? [...before, ...after] : before))
    for (let layer = last; layer >= 0; layer--)
      place(layer, ({ before, after }) => (both ? [...before, ...after] : after))
  }
  const least = Math.min(...across)
  return across.map((position) => position - least)
}

/**
 * Return the positions nearest to the wanted ones that keep their order and their distances: an isotonic regression,
 * by pooling adjacent violators.
 */
export function nearest(wanted: readonly number[], weights: readonly number[], gaps: readonly number[]): number[] {
  const pools: { sum: number; weight: number; count: number }[] = []
  const offsets: number[] = []
  wanted.forEach((position, k) => {
    offsets.push((offsets[k - 1] ?? 0) + (k ? gaps[k]! : 0))
    let pool = { sum: (position - offsets[k]!) * weights[k]!, weight: weights[k]!, count: 1 }
    for (
      let before = pools.at(-1);
      before && before.sum / before.weight > pool.sum / pool.weight;
      before = pools.at(-1)
    ) {
      pools.pop()
      pool = { sum: before.sum + pool.sum, weight: before.weight + pool.weight, count: before.count + pool.count }
    }
    pools.push(pool)
  })
  return pools
    .flatMap(({ sum, weight, count }) => new Array<number>(count).fill(sum / weight))
    .map((mean, k) => mean + offsets[k]!)
}
