import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql'
import { requestError } from './errors.ts'

/** What one operation of a document may ask for. */
export interface QueryLimits {
  /** How deep fields may stand in one another. */
  readonly maxDepth: number
  /** How many fields, with those of fragments at each place they are used. */
  readonly maxFields: number
  /** How many fields may have another name than their own: the way to ask for one thing many times. */
  readonly maxAliases: number
  /** How many operations of the contracts it may call. */
  readonly maxCalls: number
}

interface Measure {
  readonly depth: number
  readonly fields: number
  readonly aliases: number
  /** Fields at the top. */
  readonly calls: number
}

const NOTHING: Measure = { depth: 0, fields: 0, aliases: 0, calls: 0 }

/** The rule that refuses what goes beyond the limits, with how much it was. */
export function queryLimits(limits: QueryLimits): ValidationRule {
  const checks = [
    ['depth', limits.maxDepth, 'levels deep'],
    ['fields', limits.maxFields, 'fields wide, fragments counted where they are used'],
    ['aliases', limits.maxAliases, 'aliases long'],
    ['calls', limits.maxCalls, 'calls long'],
  ] as const
  return (context: ValidationContext) => ({
    OperationDefinition(operation) {
      const measured = measureOperation(context.getDocument(), operation)
      for (const [what, most, unit] of checks) {
        if (measured[what] <= most) continue
        context.reportError(requestError(`the operation is ${measured[what]} ${unit}, wanted at most ${most}`, 'ERR_GRAPHQL_LIMIT', 400))
      }
    },
  })
}

/** Measures an operation; takes time in proportion to the document, however often its fragments are used. */
export function measureOperation({ definitions }: DocumentNode, { selectionSet }: OperationDefinitionNode): Measure {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of definitions) if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  const known = new Map<string, Measure>()

  function ofFragment(name: string): Measure {
    const found = known.get(name)
    if (found) return found
    // A fragment that uses itself is refused by a rule of GraphQL's own; here it only must end.
    known.set(name, NOTHING)
    const fragment = fragments.get(name)
    const measured = fragment ? ofSelections(fragment.selectionSet) : NOTHING
    known.set(name, measured)
    return measured
  }

  function ofSelections({ selections }: SelectionSetNode): Measure {
    return selections.map(ofSelection).reduce(sum, NOTHING)
  }

  function ofSelection(selection: SelectionSetNode['selections'][number]): Measure {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return ofFragment(selection.name.value)
    if (selection.kind === Kind.INLINE_FRAGMENT) return ofSelections(selection.selectionSet)
    const { selectionSet: inner, alias, name } = selection
    const below = inner ? ofSelections(inner) : NOTHING
    // Of the schema's own description only the width counts: how deep it may be asked, GraphQL's own rules say.
    const isOwn = name.value.startsWith('__')
    return {
      depth: isOwn ? 1 : below.depth + 1,
      fields: below.fields + 1,
      aliases: below.aliases + (alias ? 1 : 0),
      calls: isOwn ? 0 : 1,
    }
  }

  return ofSelections(selectionSet)
}

function sum(a: Measure, b: Measure): Measure {
  return { depth: Math.max(a.depth, b.depth), fields: a.fields + b.fields, aliases: a.aliases + b.aliases, calls: a.calls + b.calls }
}
