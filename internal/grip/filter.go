package grip

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// The filters a subscription may name. Delivery filters decide whether an item
// reaches the session, content filters change what it reads.
const (
	FilterSkipSelf   = "skip-self"
	FilterSkipUsers  = "skip-users"
	FilterRequireSub = "require-sub"
	FilterBuildID    = "build-id"
	FilterVarSubst   = "var-subst"
	// FilterHTTPModify is not run here; it counts as a content filter where a
	// publisher's expectation is compared.
	FilterHTTPModify = "http-modify"
)

// FilterContext is what filters may know of one item and one session. Its
// methods only read it.
type FilterContext struct {
	// SubMeta is the subscription's meta, PubMeta the item's.
	SubMeta, PubMeta map[string]string
	// Channel and ID are the item's. On that channel build-id renders ID, if it
	// is not empty. With an empty ID it renders what PrevID says, the id before
	// this item's, as Pushpin 1.41 does.
	Channel, ID string
	// PrevID returns the id the session has seen last on a channel; ok is false
	// if it does not keep one. Nil knows no channel.
	PrevID func(channel string) (id string, ok bool)
	// Subscribed reports whether the session is subscribed to a channel. Nil
	// knows no channel.
	Subscribed func(channel string) bool
}

// Deliver runs the delivery filters among filters and reports whether the item
// reaches the session. It is for actions without content; Apply includes it.
func (c *FilterContext) Deliver(filters []string) bool {
	for _, f := range filters {
		if c.drops(f) {
			return false
		}
	}
	return true
}

// Apply runs filters over content in their order. If deliver is false, the item
// was dropped; its id counts as seen. If err is not nil, the content could not be
// made and the item must not be delivered either. Content that no filter changes
// is returned as it is, not copied. Unknown filters do nothing.
func (c *FilterContext) Apply(filters []string, content []byte) (out []byte, deliver bool, err error) {
	for _, f := range filters {
		if c.drops(f) {
			return nil, false, nil
		}
		switch f {
		case FilterBuildID:
			content, err = c.buildID(content)
		case FilterVarSubst:
			content, err = expand(content, variables(c.subMeta))
		}
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", f, err)
		}
	}
	return content, true, nil
}

func (c *FilterContext) subMeta(name string) (string, bool) {
	v, ok := c.SubMeta[name]
	return v, ok
}

func (c *FilterContext) drops(filter string) bool {
	switch filter {
	case FilterSkipSelf:
		user := c.SubMeta["user"]
		return user != "" && user == c.PubMeta["sender"]
	case FilterSkipUsers:
		return c.skipsUser()
	case FilterRequireSub:
		channel := c.PubMeta["require_sub"]
		return channel != "" && (c.Subscribed == nil || !c.Subscribed(channel))
	}
	return false
}

func (c *FilterContext) skipsUser() bool {
	user := c.SubMeta["user"]
	if user == "" {
		return false
	}
	for skip := range strings.SplitSeq(c.PubMeta["skip_users"], ",") {
		if trim(skip) == user {
			return true
		}
	}
	return false
}

// buildID renders %I as the id that id_format describes, in which %(CHANNEL)s
// is the session's id on that channel.
func (c *FilterContext) buildID(content []byte) ([]byte, error) {
	format, ok := c.SubMeta["id_format"]
	if !ok {
		return nil, Reason("no sub meta 'id_format'")
	}
	id, err := expand([]byte(format), variables(c.currentID))
	if err != nil {
		return nil, fmt.Errorf("id_format: %w", err)
	}
	return expand(content, ids(id, c.SubMeta))
}

func (c *FilterContext) currentID(channel string) (string, bool) {
	if channel == c.Channel && c.ID != "" {
		return c.ID, true
	}
	if c.PrevID == nil {
		return "", false
	}
	return c.PrevID(channel)
}

// ids is the directive %I, and %(text)I for an id of its own. A nil own means
// there is none to render.
func ids(own []byte, subMeta map[string]string) directive {
	inHex := subMeta["id_encoding"] == "hex"
	return func(dst []byte, c byte, arg []byte) ([]byte, error) {
		if c != 'I' {
			return nil, unknownDirective(c)
		}
		id := own
		if arg != nil {
			id = arg
		}
		if id == nil {
			return nil, Reason("no id specified and no default id in context")
		}
		if inHex {
			return hex.AppendEncode(dst, id), nil
		}
		return append(dst, id...), nil
	}
}

// FilterBody runs build-id, if it is among filters, over the body of an initial
// or next-link response. There %I has no id to render and is an error; %(text)I
// and %% work. Other filters do not touch such bodies.
func FilterBody(filters []string, subMeta map[string]string, body []byte) ([]byte, error) {
	if !slices.Contains(filters, FilterBuildID) {
		return body, nil
	}
	out, err := expand(body, ids(nil, subMeta))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FilterBuildID, err)
	}
	return out, nil
}

// ContentFiltersMatch reports whether the content filters among a subscription's
// filters are those the publisher expects, in order. A nil want expects nothing
// in particular, an empty one that there are none. An item that does not match is
// dropped, and its id does not count as seen.
func ContentFiltersMatch(want, filters []string) bool {
	if want == nil {
		return true
	}
	for _, f := range filters {
		if !isContentFilter(f) {
			continue
		}
		if len(want) == 0 || want[0] != f {
			return false
		}
		want = want[1:]
	}
	return len(want) == 0
}

func isContentFilter(name string) bool {
	return name == FilterBuildID || name == FilterVarSubst || name == FilterHTTPModify
}
