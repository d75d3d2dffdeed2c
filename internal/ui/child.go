package ui

import "io"

// ForChild gives the streams as they are, for a child process: a terminal stays
// a terminal for it.
func (s *Streams) ForChild() (in io.Reader, out, errs io.Writer) {
	out = s.Out
	if p, ok := out.(product); ok {
		out = p.w
	}
	return s.In, out, s.Err
}
