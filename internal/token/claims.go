package token

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// The app's own claims: the topics a token's holder may subscribe to and
// publish to.
const (
	ReadClaim  = "x-fastly-read"
	WriteClaim = "x-fastly-write"
)

// Warning is something about an accepted token that its maker should know.
type Warning uint8

// The warnings; zero is none.
const (
	// NoExpiry: there is no exp, so the token works until its key is deleted
	// (Quirk Q12).
	NoExpiry Warning = iota + 1
	// ExpiryWraps: exp does not fit 32 bits and counts as another time (Quirk Q13).
	ExpiryWraps
)

// String explains the warning in one clause.
func (w Warning) String() string {
	switch w {
	case NoExpiry:
		return "has no exp and never expires"
	case ExpiryWraps:
		return "has an exp beyond 32 bits, which counts as another time"
	}
	return ""
}

// Claims is what an accepted token says. Its slices are shared with other
// holders and must not be changed.
type Claims struct {
	// KeyID names the key that signed the token.
	KeyID string
	// Subject is the sub claim, empty if absent.
	Subject string
	// Read and Write list topics, compared byte for byte; nil if absent.
	Read, Write []string
	// Expires, NotBefore and IssuedAt are what the app makes of exp, nbf and iat:
	// whole seconds, kept in 32 bits. The zero Time means absent.
	Expires, NotBefore, IssuedAt time.Time
	// Warning is set if the token is accepted in a way that may surprise.
	Warning Warning
}

// Grant is what the token allows.
func (c *Claims) Grant() pubsub.Grant { return pubsub.Grant{Read: c.Read, Write: c.Write} }

// AcceptedUntil is the last moment at which the token works, pubsub.Grace after
// it expires; the zero Time if it always does.
func (c *Claims) AcceptedUntil() time.Time {
	if c.Expires.IsZero() {
		return time.Time{}
	}
	return c.Expires.Add(pubsub.Grace)
}

// readClaims reads a payload (step 9 of the contract's 3.2), without judging
// the times. The members are those it was read from.
func readClaims(payload []byte) (Claims, members, error) {
	m, err := readMembers("payload", payload, claimMember)
	if err != nil {
		return Claims{}, m, err
	}
	return Claims{
		Subject:   m.str(sub),
		Read:      m.list(read),
		Write:     m.list(write),
		Expires:   m.time(exp),
		NotBefore: m.time(nbf),
		IssuedAt:  m.time(iat),
		Warning:   expiryWarning(m[exp]),
	}, m, nil
}

func expiryWarning(raw []byte) Warning {
	switch {
	case raw == nil:
		return NoExpiry
	case seconds(raw) > math.MaxUint32:
		return ExpiryWraps
	}
	return 0
}

// time is a member's time, the zero Time if it is absent. Only the low 32 bits
// of the seconds count (Quirk Q13).
func (m members) time(slot member) time.Time {
	if m[slot] == nil {
		return time.Time{}
	}
	return time.Unix(int64(uint32(seconds(m[slot]))), 0).UTC()
}

// seconds is a JSON number as the app keeps it: an integer of 64 bits, negative
// ones in two's complement; anything else as a float without its fraction, at
// least 0 and at most the greatest integer.
func seconds(raw []byte) uint64 {
	s := string(raw)
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n)
	}
	f, _ := strconv.ParseFloat(s, 64) // the parser saw to it that it fits
	switch {
	case f <= 0:
		return 0
	case f >= math.MaxUint64:
		return math.MaxUint64
	}
	return uint64(f)
}

// checkTimes judges the time claims at now (the contract's 3.3). A refusal
// quotes them from m, as they stand.
func (c *Claims) checkTimes(m members, now time.Time) error {
	switch {
	case c.IssuedAt.After(now.Add(pubsub.Grace)):
		return tooEarly("iat", m.counted(iat), c.IssuedAt.Sub(now))
	case c.NotBefore.After(now.Add(pubsub.Grace)):
		return tooEarly("nbf", m.counted(nbf), c.NotBefore.Sub(now))
	case !c.Expires.IsZero() && c.AcceptedUntil().Before(now):
		return invalid("exp", "exp %s was %s ago, accepted until %s after",
			m.counted(exp), span(now.Sub(c.Expires)), span(pubsub.Grace))
	}
	return nil
}

func tooEarly(claim, value string, ahead time.Duration) error {
	return invalid(claim, "%s %s is %s ahead, accepted from %s before", claim, value, span(ahead), span(pubsub.Grace))
}

// counted is a time as it stands, and what it counts as if that is another.
func (m members) counted(slot member) string {
	stands, counts := string(m[slot]), strconv.FormatInt(m.time(slot).Unix(), 10)
	if stands == counts {
		return stands
	}
	return short(stands) + " (counts as " + counts + ")"
}

// span writes a duration, rounded up to a second, or in hours if there are many.
func span(d time.Duration) string {
	if d >= 2*time.Hour {
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	}
	s := (d + time.Second - 1).Truncate(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		return strings.TrimSuffix(s, "0s")
	}
	return s
}
