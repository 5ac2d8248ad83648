// Package hotel is what the services of the hotel application share: the data set and the stores.
package hotel

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
)

// Count of hotels; their ids are "1" to "80".
const Count = 80

// Hotel is one hotel of the data set.
type Hotel struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Phone       string  `json:"phone"`
	Description string  `json:"description"`
	Street      string  `json:"street"`
	Number      string  `json:"number"`
	PostalCode  string  `json:"postalCode"`
	Lat         float64 `json:"lat"`
	Lon         float64 `json:"lon"`
	// Nightly rate and price class of the recommendations, and number of rooms.
	Rate  float64 `json:"rate"`
	Price float64 `json:"price"`
	Rooms int     `json:"rooms"`
}

var (
	firsts  = []string{"Harbour", "Union", "Golden", "Pacific", "Marina", "Orchard", "Mission", "Summit", "Lantern", "Cedar"}
	seconds = []string{"House", "Inn", "Lodge", "Suites", "Court", "Terrace", "Plaza", "Gardens"}
	streets = []string{"Alder", "Bay", "Chestnut", "Dock", "Elm", "Foundry", "Grant", "Hyde"}
	praises = []string{
		"Rooms look over the water and the old warehouses along it.",
		"A quiet house with a library, a court yard and breakfast until noon.",
		"Five minutes from the station; bicycles and umbrellas are lent to guests.",
		"The kitchen works with what the market has in the morning.",
		"Built as a bank, turned into a hotel by the grandchildren of its founder.",
	}
)

// Data is the data set: the same in every run.
func Data() []Hotel {
	random := rand.New(rand.NewSource(2015))
	hotels := make([]Hotel, Count)
	for i := range hotels {
		hotels[i] = Hotel{
			ID:          strconv.Itoa(i + 1),
			Name:        fmt.Sprintf("%s %s", firsts[i%len(firsts)], seconds[i/len(firsts)%len(seconds)]),
			Phone:       fmt.Sprintf("(415) 555-%04d", 1000+random.Intn(9000)),
			Description: praises[random.Intn(len(praises))] + " " + praises[random.Intn(len(praises))],
			Street:      streets[random.Intn(len(streets))] + " Street",
			Number:      strconv.Itoa(1 + random.Intn(990)),
			PostalCode:  strconv.Itoa(94100 + random.Intn(90)),
			Lat:         37.70 + 0.2*random.Float64(),
			Lon:         -122.50 + 0.2*random.Float64(),
			Rate:        math.Round(8000+random.Float64()*20000) / 100,
			Price:       math.Round(6000+random.Float64()*24000) / 100,
			Rooms:       100 + 50*random.Intn(5),
		}
	}
	return hotels
}

const earthKm = 6371

// Distance between two places, in kilometres along the earth's surface.
func Distance(lat1, lon1, lat2, lon2 float64) float64 {
	const radians = math.Pi / 180
	dLat, dLon := (lat2-lat1)*radians, (lon2-lon1)*radians
	a := math.Sin(dLat/2)*math.Sin(dLat/2) +
		math.Cos(lat1*radians)*math.Cos(lat2*radians)*math.Sin(dLon/2)*math.Sin(dLon/2)
	return 2 * earthKm * math.Asin(math.Sqrt(a))
}
