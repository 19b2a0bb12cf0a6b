// Every public name has a doc comment: what the entry points export, the public members of its classes, the fields of its interfaces and of its
// objects, each overload by itself. Read from the sources by TypeScript's own checker.
import { join, resolve } from 'node:path'
import { API, type Checker, type Symbol, SymbolFlags } from 'typescript/unstable/sync'
import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
// The ops too: what the index exports of them takes its type from there, overloads and all.
const entries = ['index', 'ops/index', 'nn/index', 'optim/index', 'data/index', 'text/index', 'train/index', 'models/index'].map((file) => join(root, 'ts', `${file}.ts`))

test('every public name has a doc comment', () => {
  const api = new API({ cwd: root })
  try {
    const project = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects()[0]!
    const search = new Search(project.checker)
    for (const entry of entries) {
      const file = project.program.getSourceFile(entry)!
      search.module(project.checker.getSymbolAtLocation(file)!)
    }
    expect(search.seen).toBeGreaterThan(1000)
    expect([...search.bare].sort()).toEqual([])
  } finally {
    api.close()
  }
})

/** A walk over what can be reached by name from the entry points. */
class Search {
  /** Names without a comment, with where they stand. */
  readonly bare: Set<string> = new Set()
  seen = 0
  readonly #checker: Checker
  readonly #done = new Set<string>()

  constructor(checker: Checker) {
    this.#checker = checker
  }

  module(symbol: Symbol): void {
    for (const exported of this.#checker.getExportsOfModule(symbol)) this.#exported(exported)
  }

  #exported(symbol: Symbol): void {
    const target = symbol.flags & SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
    const nodes = target.declarations.map((handle) => handle.resolve()).filter((node) => node !== undefined)
    if (nodes.some(({ kind }) => kind === SyntaxKind.SourceFile)) return this.module(target)
    // Of overloads, those that callers see.
    const signatures = nodes.filter((node) => !(node.kind === SyntaxKind.FunctionDeclaration && nodes.length > 1 && (node as Partial<Body>).body))
    for (const node of signatures) this.#declaration(node, symbol.name)
  }

  #declaration(node: Node, name: string): void {
    const path = node.getSourceFile().fileName.slice(root.length + 1)
    const key = `${path} ${name} ${node.pos}`
    if (!path.startsWith('ts/') || this.#done.has(key)) return
    this.#done.add(key)
    // A variable's comment stands before its statement. What merges with a class adds methods that are documented as functions.
    const commented = node.kind === SyntaxKind.VariableDeclaration ? node.parent!.parent! : node
    if (!(node.kind === SyntaxKind.InterfaceDeclaration && name === 'Tensor')) this.#require(path, name, commented)
    for (const member of this.#membersOf(node)) this.#member(path, name, member, node)
  }

  #membersOf(node: Node): readonly Node[] {
    const { members, type, initializer } = node as Partial<{ members: readonly Node[]; type: Node; initializer: Node }>
    if (node.kind === SyntaxKind.ClassDeclaration) {
      const fields = (members ?? []).flatMap((member) => (member.kind === SyntaxKind.Constructor ? (member as unknown as { parameters: readonly Node[] }).parameters.filter((parameter) => modifiersOf(parameter).length > 0) : [member]))
      return fields.filter((member) => !modifiersOf(member).some((kind) => kind === SyntaxKind.PrivateKeyword || kind === SyntaxKind.ProtectedKeyword))
    }
    if (node.kind === SyntaxKind.InterfaceDeclaration) return members ?? []
    if (node.kind === SyntaxKind.TypeAliasDeclaration && type?.kind === SyntaxKind.TypeLiteral) return (type as unknown as { members: readonly Node[] }).members
    // One without a type of its own shows its fields.
    if (node.kind === SyntaxKind.VariableDeclaration && type === undefined && initializer?.kind === SyntaxKind.ObjectLiteralExpression) return (initializer as unknown as { properties: readonly Node[] }).properties
    return []
  }

  #member(path: string, owner: string, member: Node, parent: Node): void {
    const { name, body } = member as Partial<{ name: Node } & Body>
    // Signatures without a name: an interface that can be called says so itself. Those of JavaScript's own protocols: [Symbol.dispose] and the like.
    if (name === undefined || name.kind === SyntaxKind.PrivateIdentifier || name.kind === SyntaxKind.ComputedPropertyName) return
    const text = name.getText()
    if (['toString', 'toJSON'].includes(text)) return
    const siblings = this.#membersOf(parent).filter((other) => (other as Partial<{ name: Node }>).name?.getText() === text)
    // Of overloads those that callers see; of a getter and its setter, the first.
    if (siblings.length > 1 && (member.kind === SyntaxKind.MethodDeclaration ? body !== undefined : siblings[0] !== member)) return
    if (comment(member).includes('@internal') || this.#inherited(parent, text)) return
    this.#require(path, `${owner}.${text}`, member)
  }

  /** Whether a class or interface that the parent comes from documents the member. */
  #inherited(parent: Node, member: string): boolean {
    const { heritageClauses } = parent as Partial<{ heritageClauses: readonly { types: readonly Node[] }[] }>
    return (heritageClauses ?? []).flatMap(({ types }) => types).some((type) => {
      const found = this.#checker.getTypeAtLocation(type)
      const base = found && this.#checker.getPropertyOfType(found, member)
      return base?.declarations.some((handle) => {
        const node = handle.resolve()
        return node !== undefined && (comment(node) !== '' || this.#inherited(node.parent!, member))
      }) ?? false
    })
  }

  #require(path: string, name: string, node: Node): void {
    this.seen++
    if (comment(node) === '') this.bare.add(`${path}: ${name}`)
  }
}

interface Body { body: Node | undefined }

/** The doc comment in front of a node, or ''. */
function comment(node: Node): string {
  const before = node.getSourceFile().text.slice(node.pos, node.getStart())
  return /\/\*\*[\s\S]*?\*\/(?![\s\S]*\/\*\*)/.exec(before)?.[0] ?? ''
}

function modifiersOf(node: Node): SyntaxKind[] {
  return ((node as Partial<{ modifiers: readonly Node[] }>).modifiers ?? []).map(({ kind }) => kind)
}
