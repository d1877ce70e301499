// Expressions of a cell's quantities as a graph: an expression that is written twice is one object.

export interface Expression {
  readonly kind: string
  readonly arguments: readonly Expression[]
  /** The name of a leaf, or the value of a constant. */
  readonly label: string | number
}

/** A number, or an expression: what a derivative may be. */
export type Slope = Expression | number

/** All expressions that were made, in the order of their making: arguments come before what uses them. */
export class Pool {
  readonly #made = new Map<string, Expression>()
  readonly #numbers = new Map<Expression, number>()

  get expressions(): Iterable<Expression> {
    return this.#made.values()
  }

  leaf(kind: string, label: string | number): Expression {
    return this.#get(kind, [], label)
  }

  /** Return the expression `kind(operands)`; numbers become constants. */
  operation(kind: string, ...operands: Slope[]): Expression {
    return this.#get(kind, operands.map((operand) => this.expression(operand)), '') // prettier-ignore
  }

  expression(value: Slope): Expression {
    return typeof value === 'number' ? this.leaf('constant', value) : value
  }

  #get(kind: string, operands: readonly Expression[], label: string | number): Expression {
    const places = operands.map((operand) => this.#numbers.get(operand)).join(' ')
    const key = operands.length ? `${kind} ${places}` : `${kind} ${typeof label} ${label}`
    let expression = this.#made.get(key)
    if (!expression) {
      expression = { kind, arguments: operands, label }
      this.#numbers.set(expression, this.#made.size)
      this.#made.set(key, expression)
    }
    return expression
  }
}
