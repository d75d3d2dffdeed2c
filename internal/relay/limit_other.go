//go:build !unix

package relay

// connsByFileLimit is a generous number where files have no limit to ask for.
func connsByFileLimit() int { return 100_000 }
