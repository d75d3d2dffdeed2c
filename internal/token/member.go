package token

import "errors"

// kind is a set of JSON types.
type kind uint8

const (
	text kind = 1 << iota
	texts
	number
	null
	other
)

// kindOf is the type of a value found well formed.
func kindOf(raw []byte) kind {
	switch c := raw[0]; {
	case c == '"':
		return text
	case c == 'n':
		return null
	case c == '-' || '0' <= c && c <= '9':
		return number
	case c == '[':
		if _, ok := stringList(raw); ok {
			return texts
		}
	}
	return other
}

// String names what a member must be, in the words of an error message.
func (k kind) String() string {
	switch {
	case k&(text|texts) == text|texts:
		return "a string or an array of strings"
	case k&texts != 0:
		return "an array of strings"
	case k&number != 0:
		return "a number"
	}
	return "a string"
}

// member is a slot in the values of the known members of an object.
type member int

// The members of a header and of a payload that are read. Any others are
// ignored.
const (
	alg member = iota
	kid
	typ
	exp
	nbf
	iat
	sub
	read
	write
	checked // and the first of those whose type alone matters
)

// members is room for every known member of one object.
type members [checked + 8][]byte

// headerMember finds a known member of the header and the types it may have.
func headerMember(name string) (member, kind) {
	switch name {
	case "alg":
		return alg, text
	case "kid":
		return kid, text | null
	case "typ":
		return typ, text | null
	case "cty":
		return checked, text | null
	case "jku":
		return checked + 1, text | null
	case "jwk":
		return checked + 2, text | null
	case "x5u":
		return checked + 3, text | null
	case "x5t":
		return checked + 4, text | null
	case "x5t#S256":
		return checked + 5, text | null
	case "crit":
		return checked + 6, texts | null
	case "x5c":
		return checked + 7, texts | null
	}
	return -1, 0
}

// claimMember finds a known claim and the types it may have. Null is no time,
// no audience and no list of topics.
func claimMember(name string) (member, kind) {
	switch name {
	case "exp":
		return exp, number
	case "nbf":
		return nbf, number
	case "iat":
		return iat, number
	case "sub":
		return sub, text | null
	case "iss":
		return checked, text | null
	case "jti":
		return checked + 1, text | null
	case "nonce":
		return checked + 2, text | null
	case "aud":
		return checked + 3, text | texts
	case ReadClaim:
		return read, texts
	case WriteClaim:
		return write, texts
	}
	return -1, 0
}

// readMembers picks the known members out of the object that doc is. It refuses
// one that comes twice or has another type than it may have; what is "header"
// or "payload" in the message.
func readMembers(what string, doc []byte, known func(string) (member, kind)) (members, error) {
	var found members
	err := eachMember(doc, func(name string, raw []byte) error {
		m, want := known(name)
		if m < 0 {
			return nil
		}
		if found[m] != nil {
			return invalid(name, "%s comes twice in the %s", name, what)
		}
		if kindOf(raw)&want == 0 {
			return invalid(name, "%s is not %s", name, want)
		}
		found[m] = raw
		return nil
	})
	if errors.Is(err, errJSON) {
		err = invalid("", "%s is not a JSON object", what)
	}
	return found, err
}

// str is a member's string, empty if it is absent or null.
func (m members) str(slot member) string {
	if raw := m[slot]; raw != nil && raw[0] == '"' {
		return unquote(raw)
	}
	return ""
}

// list is a member's strings, nil if it is absent.
func (m members) list(slot member) []string {
	if m[slot] == nil {
		return nil
	}
	list, _ := stringList(m[slot])
	return list
}

// absent reports whether a member is missing or null.
func (m members) absent(slot member) bool { return m[slot] == nil || m[slot][0] == 'n' }
