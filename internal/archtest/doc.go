// Package archtest keeps the tree in the shape that CONTRIBUTING.md draws.
//
// It has no code to import. Its tests read every Go file of the module, for all
// systems and build tags alike, and fail when a package imports sideways or
// upwards, when a third-party module spreads beyond the package that wraps it,
// or when a file breaks one of the house rules that a machine can judge: length,
// init functions, missing documentation, sleeping tests.
//
// It does not judge names, prose or design, and it sees imports, not behaviour:
// a rule broken through an interface or a function value is for the reviewer.
// It never runs the go command and never reads outside the module.
package archtest
