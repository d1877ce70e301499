// The order of symbols and classes by their prediction, with the one rule for ties: the lowest id comes first.
// The twin of src/gatescope/ranking.py. NaN counts as larger than every number.

const MAX_INSERTIONS = 32 // up to this many ids, inserting each value is faster than sorting all

const precedes = (a: number, b: number): boolean => a > b || (a !== a && b === b)

/** Return the id of the largest value; of equal values the lowest id. There is at least one value. */
export function largest(values: ArrayLike<number>): number {
  let best = 0
  for (let id = 1; id < values.length; id++) if (precedes(values[id]!, values[best]!)) best = id
  return best
}

/** Return the ids of the `count` largest values, the largest first; equal values in the order of their ids. */
export function ranked(values: ArrayLike<number>, count: number): number[] {
  const order: number[] = []
  if (count > MAX_INSERTIONS) {
    for (let id = 0; id < values.length; id++) order.push(id)
    const sign = (a: number, b: number): number => (precedes(a, b) ? -1 : precedes(b, a) ? 1 : 0)
    return order.sort((a, b) => sign(values[a]!, values[b]!)).slice(0, count) // the sort is stable
  }
  for (let id = 0; id < values.length; id++) {
    if (order.length === count && !(count && precedes(values[id]!, values[order[count - 1]!]!))) continue
    let place = order.length
    while (place && precedes(values[id]!, values[order[place - 1]!]!)) place--
    order.splice(place, 0, id)
    if (order.length > count) order.pop()
  }
  return order
}
