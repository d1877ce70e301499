// Initial weights for training: the twin of the drawing in src/gatescope/network.py and engine/parameters.py.
//
// Every matrix has a stream of its own, with the name of its tensor, so it does not depend on the others. Numbers are
// computed in double precision and rounded, so they are those of Python up to the rounding of logarithms and cosines.
import { type Precision, type Values, zeros } from './arrays'
import { type Configuration, expectedTensors } from './configuration'
import { Generator } from './random'

/** Return every weight of a network by the name of its tensor. */
export function initialWeights(
  configuration: Configuration,
  seed: number | bigint,
  precision: Precision = 'float32',
): Map<string, Values> {
  const generator = new Generator(seed)
  const weights = new Map<string, Values>()
  for (const [name, shape] of expectedTensors(configuration)) {
    const values = zeros(
      precision,
      shape.reduce((product, size) => product * size, 1),
    )
    if (!name.startsWith('layers.') && shape.length === 2)
      values.set(glorot(shape[0]!, shape[1]!, generator.stream(name)))
    weights.set(name, values)
  }
  for (const [k, { cell, neurons }] of configuration.layers.entries()) {
    const [inputs, stream] = [configuration.inputs[k]!, generator.stream(`layers.${k}`)]
    for (const [drive, name] of cell.inputDrives.entries()) {
      const values = glorot(neurons, inputs, stream.stream('input_weights').stream(name))
      weights.get(`layers.${k}.input_weights`)!.set(values, drive * neurons * inputs)
      weights.get(`layers.${k}.biases`)!.fill(cell.biases.get(name) ?? 0, drive * neurons, (drive + 1) * neurons)
    }
    for (const [drive, name] of cell.recurrentDrives.entries()) {
      const values = orthogonal(neurons, stream.stream('recurrent_weights').stream(name))
      weights.get(`layers.${k}.recurrent_weights`)!.set(values, drive * neurons * neurons)
    }
  }
  return weights
}

/** Return a matrix of uniform numbers between -b and b, b = sqrt(6 / (rows + columns)). */
function glorot(rows: number, columns: number, generator: Generator): Float64Array {
  const bound = (6 / (rows + columns)) ** 0.5
  return Float64Array.from({ length: rows * columns }, () => (2 * generator.uniform() - 1) * bound)
}

/**
 * Return a random orthogonal matrix: the factor Q of a matrix of normal numbers, with R's diagonal positive.
 *
 * This is what Gram and Schmidt compute column by column. Each column is projected twice, which makes it orthogonal to
 * rounding however small the rest of it is (Giraud, Langou and Rozložník, Comput. Math. Appl. 50, 2005).
 */
export function orthogonal(size: number, generator: Generator): Float64Array {
  const columns = Array.from({ length: size }, () => new Float64Array(size))
  for (let row = 0; row < size; row++) for (const column of columns) column[row] = generator.normal()
  for (const [k, column] of columns.entries()) {
    for (let time = 0; time < 2; time++)
      for (let j = 0; j < k; j++) subtract(column, columns[j]!, dot(column, columns[j]!))
    const norm = Math.sqrt(dot(column, column))
    for (let row = 0; row < size; row++) column[row]! /= norm
  }
  return Float64Array.from({ length: size * size }, (_, place) => columns[place % size]![Math.floor(place / size)]!)
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!
  return sum
}

function subtract(values: Float64Array, direction: Float64Array, factor: number): void {
  for (let k = 0; k < values.length; k++) values[k]! -= factor * direction[k]!
}
