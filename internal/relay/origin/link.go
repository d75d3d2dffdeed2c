package origin

import (
	"net/url"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// errLink refuses a link that nobody could follow.
const errLink = grip.Reason("Grip-Link contains invalid link")

func isAbsolute(path string) bool { return path != "" && path[0] != '/' }

// resolveLinks makes the links of a response ones that the engine can ask this
// backend for (grip.md, 2.8): paths on the host that the client has asked, which
// then take the same route again, and absolute URIs elsewhere. They are relative
// to the URI as the client sees it, so that </p2> and <p2> mean the same whatever
// the route puts in front.
func (b *backend) resolveLinks(r *fanout.Request, in *grip.Instruct) (err error) {
	if in.Next.URI, err = b.resolve(r, in.Next.URI); err != nil {
		return badInstruct(err)
	}
	if in.Gone, err = b.resolve(r, in.Gone); err != nil {
		return badInstruct(err)
	}
	return nil
}

func (b *backend) resolve(r *fanout.Request, link string) (string, error) {
	if link == "" {
		return "", nil
	}
	home := url.URL{Scheme: "http", Host: b.host(r)}
	if r.Secure {
		home.Scheme = "https"
	}
	base, err := baseOf(r, home)
	if err != nil {
		return "", errLink
	}
	ref, err := url.Parse(link)
	if err != nil {
		return "", errLink
	}
	u := base.ResolveReference(ref)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errLink
	case u.Scheme == home.Scheme && authority(u) == authority(&home):
		return u.RequestURI(), nil
	}
	u.Fragment, u.RawFragment, u.User = "", "", nil
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// baseOf is the URI of the request itself.
func baseOf(r *fanout.Request, home url.URL) (*url.URL, error) {
	if r.FollowUp && isAbsolute(r.Path) {
		u, err := url.Parse(r.Path)
		if err == nil {
			u.RawQuery = r.RawQuery
		}
		return u, err
	}
	path, err := url.PathUnescape(r.Path)
	home.Path, home.RawPath, home.RawQuery = path, r.Path, r.RawQuery
	return &home, err
}

// authority is the host and port that a URI leads to.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
