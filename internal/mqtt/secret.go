package mqtt

import (
	"fmt"
	"log/slog"
)

const hidden = "[password]"

// Secret is the password of a CONNECT, which is a token. It converts to and from
// bytes, and whatever prints or logs it writes "[password]".
type Secret []byte

// Format prints "[password]" for every verb.
func (Secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, hidden) }

// LogValue logs "[password]".
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText writes "[password]", also into JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
