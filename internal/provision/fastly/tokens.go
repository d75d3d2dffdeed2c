package fastly

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	gofastly "github.com/fastly/go-fastly/v9/fastly"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// errNoValue is a token of which only the platform knows the value.
var errNoValue = errors.New("the platform made a token and did not give it")

// wireToken is a token on the wire. Of a token in a list of automation tokens
// scopes is text; elsewhere it is a list beside scope.
type wireToken struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Scope    string   `json:"scope"`
	Scopes   any      `json:"scopes"`
	Services []string `json:"services"`
	Expires  string   `json:"expires_at"`
	Sudo     string   `json:"sudo_expires_at"`
	Value    string   `json:"access_token"`
}

func (w wireToken) token() Token {
	t := Token{ID: w.ID, Name: w.Name, Scopes: strings.Fields(w.Scope), Services: w.Services,
		Expires: moment(w.Expires), Sudo: moment(w.Sudo), Value: config.NewSecret(w.Value)}
	if text, ok := w.Scopes.(string); ok && len(t.Scopes) == 0 {
		t.Scopes = strings.Fields(text)
	}
	return t
}

// moment reads a time, which may be null or empty for none.
func moment(s string) time.Time {
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

// Self implements API. The library leaves out until when the token may create
// tokens, so the answer is read here.
func (c *Client) Self(ctx context.Context) (Token, error) {
	var w wireToken
	err := c.do(ctx, func(lib *gofastly.Client) error {
		resp, err := lib.GetJSON("/tokens/self", nil)
		return decode(resp, err, &w)
	})
	return w.token(), err
}

// Role implements API. An automation token belongs to no user.
func (c *Client) Role(ctx context.Context) (string, error) {
	u, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.User, error) { return lib.GetCurrentUser() })
	switch {
	case asAPI(err).Status/100 == 4:
		return "", nil
	case err != nil:
		return "", err
	}
	return text(u.Role), nil
}

// AllTokens implements API.
func (c *Client) AllTokens(ctx context.Context) ([]Token, error) {
	var list []wireToken
	err := c.do(ctx, func(lib *gofastly.Client) error {
		resp, err := lib.GetJSON("/tokens", nil)
		return decode(resp, err, &list)
	})
	if err != nil {
		return nil, err
	}
	var all []Token
	for _, w := range list {
		all = append(all, w.token())
	}
	more, err := c.automationTokens(ctx)
	if Auth(err) || NotFound(err) { // not for this user to see
		return all, nil
	}
	return append(all, more...), err
}

// automationTokens asks for page after page: the library's helper stops at the
// first, because the answer has no Link header.
func (c *Client) automationTokens(ctx context.Context) ([]Token, error) {
	var all []Token
	for n := 1; n <= maxPages; n++ {
		var page struct {
			Data []wireToken `json:"data"`
			Meta struct {
				Pages int `json:"total_pages"`
			} `json:"meta"`
		}
		err := c.do(ctx, func(lib *gofastly.Client) error {
			resp, err := lib.GetJSON("/automation-tokens", &gofastly.RequestOptions{
				Params: map[string]string{"page": strconv.Itoa(n), "per_page": "100"},
			})
			return decode(resp, err, &page)
		})
		if err != nil {
			return nil, err
		}
		for _, w := range page.Data {
			t := w.token()
			t.Automation = true
			all = append(all, t)
		}
		if n >= page.Meta.Pages {
			return all, nil
		}
	}
	return nil, errEndless
}

// Sudo implements API. The one-time password travels in a header for which the
// library has no place.
func (c *Client) Sudo(ctx context.Context, l Login) error {
	return c.doLane(ctx, func(ln *lane) error {
		ln.otp = l.OTP.Reveal()
		return closing(postForm(ln.lib, "/sudo", url.Values{"username": {l.User}, "password": {l.Password.Reveal()}}))
	})
}

// CreateToken implements API. The library's own calls would ask for sudo again,
// and fail where that was granted without a password.
func (c *Client) CreateToken(ctx context.Context, t NewToken) (Token, error) {
	var w wireToken
	err := c.do(ctx, func(lib *gofastly.Client) error {
		if t.Automation {
			resp, err := lib.PostJSON("/automation-tokens", map[string]any{
				"name": t.Name, "role": "engineer", "scope": t.Scope, "services": t.Services, "tls_access": false,
			}, nil)
			return decode(resp, err, &w)
		}
		resp, err := postForm(lib, "/tokens", url.Values{"name": {t.Name}, "scope": {t.Scope}, "services[]": t.Services})
		return decode(resp, err, &w)
	})
	made := w.token()
	made.Automation = t.Automation
	if err == nil && w.Value == "" {
		err = errNoValue
	}
	return made, err
}

func postForm(lib *gofastly.Client, path string, form url.Values) (*http.Response, error) {
	body := form.Encode()
	return lib.Post(path, &gofastly.RequestOptions{
		Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		Body:    strings.NewReader(body), BodyLength: int64(len(body)),
	})
}

// RevokeToken implements API.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteToken(&gofastly.DeleteTokenInput{TokenID: id})
	})
}
