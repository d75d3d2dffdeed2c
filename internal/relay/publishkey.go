package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// gate lets those publish who know a key. It keeps the key's digest, so that a
// comparison takes as long for a long guess as for a short one, and tells
// nothing of the key's length.
type gate struct {
	digest [sha256.Size]byte
	sig    grip.Key
}

// newGate returns nil without a key: then everybody may publish.
func newGate(key string) *gate {
	if key == "" {
		return nil
	}
	g := &gate{digest: sha256.Sum256([]byte(key))}
	// A key that cannot sign still is one to present. It is the key itself, never
	// the name of a file.
	g.sig, _ = grip.ParseKey(key, func(string) ([]byte, error) { return nil, errors.ErrUnsupported })
	return g
}

// admits looks at what Fastly and GRIP libraries send: the key as a Bearer, as
// a Fastly-Key or as the password of Basic, or a Bearer that is a token signed
// with the key, which is what libraries make of a GRIP_URL with iss and key.
func (g *gate) admits(r *http.Request) bool {
	if g == nil {
		return true
	}
	ok := g.matches(r.Header.Get("Fastly-Key"))
	if _, password, basic := r.BasicAuth(); basic {
		ok = g.matches(password) || ok
	}
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		ok = g.matches(credential) || ok
		ok = ok || grip.VerifySig(credential, g.sig, "", time.Now()) == nil
	}
	return ok
}

// matches compares in constant time; nothing at all never matches.
func (g *gate) matches(given string) bool {
	digest := sha256.Sum256([]byte(given))
	return given != "" && subtle.ConstantTimeCompare(digest[:], g.digest[:]) == 1
}
