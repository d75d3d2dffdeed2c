package grip

import (
	"bytes"
	"fmt"
)

// directive appends what %c or %(arg)c stands for; arg is nil without
// parentheses.
type directive func(dst []byte, c byte, arg []byte) ([]byte, error)

// maxExpansion is how many bytes directives may add to a format. Two bytes of
// content can stand for kilobytes of meta, once per session.
const maxExpansion = 1 << 20

// expand replaces the directives of a format; %% is a percent sign. A format
// without any is returned as it is, not copied.
func expand(format []byte, d directive) ([]byte, error) {
	i := bytes.IndexByte(format, '%')
	if i < 0 {
		return format, nil
	}
	out := make([]byte, 0, len(format)+64)
	for rest := format; ; i = bytes.IndexByte(rest, '%') {
		if i < 0 {
			return append(out, rest...), nil
		}
		at := len(format) - len(rest) + i
		out = append(out, rest[:i]...)
		var err error
		if out, rest, err = expandOne(out, rest[i+1:], d); err != nil {
			return nil, fmt.Errorf("%w in the directive at byte %d", err, at)
		}
		if len(out) > len(format)+maxExpansion {
			return nil, Reason("content grows too large")
		}
	}
}

// expandOne appends what the directive at the start of s stands for; its
// percent sign is gone. It returns what follows.
func expandOne(out, s []byte, d directive) (grown, rest []byte, err error) {
	if len(s) == 0 {
		return nil, nil, Reason("expected a directive after %")
	}
	var arg []byte
	switch c := s[0]; {
	case c == '%':
		return append(out, '%'), s[1:], nil
	case c == '(':
		if arg, s, err = cutArgument(s[1:]); err != nil {
			return nil, nil, err
		}
	case c|0x20 < 'a' || c|0x20 > 'z':
		return nil, nil, unknownDirective(c)
	}
	grown, err = d(out, s[0], arg)
	return grown, s[1:], err
}

// cutArgument reads up to the closing parenthesis, behind which at least the
// directive's letter must stand. A backslash takes the next byte as it is.
func cutArgument(s []byte) (arg, rest []byte, err error) {
	arg = []byte{}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ')':
			if i+1 == len(s) {
				return nil, nil, Reason("expected a directive after )")
			}
			return arg, s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return nil, nil, Reason(`expected a character after \`)
			}
		}
		arg = append(arg, s[i])
	}
	return nil, nil, Reason("unterminated (")
}

func unknownDirective(c byte) error { return Reason(fmt.Sprintf("unknown directive %q", c)) }

// variables is the directive %(name)s.
func variables(lookup func(name string) (string, bool)) directive {
	return func(dst []byte, c byte, arg []byte) ([]byte, error) {
		if c != 's' {
			return nil, unknownDirective(c)
		}
		if arg == nil {
			return nil, Reason("directive 's' requires an argument")
		}
		value, ok := lookup(string(arg))
		if !ok {
			return nil, Reason(fmt.Sprintf("no such variable '%s'", arg))
		}
		return append(dst, value...), nil
	}
}
