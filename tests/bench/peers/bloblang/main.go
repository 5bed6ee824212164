// bloblang ORDER.json - the fields of ../../order.map.yaml by Bloblang, object to
// object: neither JSON's reading nor its writing is counted. Speaks what
// ../../peer.h says.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
)

const mapping = `
map code { root = if this.tax_class == "reduced-rate" { "R" } else { "S" } }
root.number = this.number
root.placed_at = this.date_created_gmt
root.currency = this.currency
root.source_status = this.status
root.buyer.email = this.billing.email
root.buyer.name = (this.billing.first_name + " " + this.billing.last_name).trim()
root.buyer.phone = this.billing.phone
root.billing.street = this.billing.address_1
root.billing.postcode = this.billing.postcode
root.billing.city = this.billing.city
root.billing.country = this.billing.country
root.delivery.street = this.shipping.address_1
root.delivery.postcode = this.shipping.postcode
root.delivery.city = this.shipping.city
root.delivery.country = this.shipping.country
root.lines = this.line_items.map_each(l -> {
  "id": l.id.string(), "sku": l.sku, "name": l.name, "quantity": l.quantity,
  "unit_net": l.total.number() / l.quantity, "net": l.total,
  "vat": l.total_tax, "vat_code": l.apply("code")
})
root.shipping = this.shipping_lines.map_each(s -> {
  "name": s.method_title, "net": s.total, "vat": s.total_tax
})
let charged = [this.line_items, this.shipping_lines].flatten()
root.vat_summary = $charged.map_each(c -> c.apply("code")).unique().map_each(k -> {
  "code": k,
  "net": $charged.filter(c -> c.apply("code") == k).map_each(c -> c.total.number()).sum(),
  "vat": $charged.filter(c -> c.apply("code") == k).map_each(c -> c.total_tax.number()).sum()
})
root.totals.vat = this.total_tax
root.totals.gross = this.total
root.payment.method = this.payment_method
root.payment.title = this.payment_method_title
`

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bloblang:", err)
		os.Exit(1)
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/redpanda-data/benthos/v4" {
				return d.Version
			}
		}
	}
	return "?"
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	die(err)
	var order any
	die(json.Unmarshal(text, &order))
	exe, err := bloblang.Parse(mapping)
	die(err)
	if len(os.Args) > 2 {
		out, err := exe.Query(order)
		die(err)
		shown, err := json.Marshal(out)
		die(err)
		fmt.Println(string(shown))
		return
	}
	fmt.Printf("Bloblang of Benthos %s, %s, one goroutine\n", version(), runtime.Version())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, _ := strconv.Atoi(lines.Text())
		begin := time.Now()
		for i := 0; i < n; i++ {
			_, err := exe.Query(order)
			die(err)
		}
		fmt.Println(float64(time.Since(begin).Nanoseconds()) / float64(n) / 1000)
	}
}
