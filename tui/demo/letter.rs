//! Letters: what the messages of the demo say, so that a look into a queue shows something to be read.

use super::rng::Rng;

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letter {
    /// An order of a shop.
    Order,
    /// An invoice for an order. Now and then one has no address.
    Invoice,
    /// An invoice was sent.
    Receipt,
    /// What a camera measures.
    Reading,
    /// Where a camera shall look.
    Turn,
    /// What a scanner shall look at.
    Job,
    /// What a scanner saw.
    Scan,
    /// What only a developer would read.
    Trace,
}

/// Every so many invoices one has no address.
const NO_ADDRESS_EVERY: u64 = 250;
/// What it has in its place.
const NO_ADDRESS: &str = "\"mail\":null";

impl Letter {
    /// The message of this number.
    pub(crate) fn write(self, number: u64, rng: &mut Rng) -> String {
        let price = |rng: &mut Rng| format!("{}.{:02}", rng.within(3, 400), rng.within(0, 100));
        match self {
            Self::Order => {
                let item = rng.pick(&["chair", "table", "lamp", "shelf", "clock", "carpet"]);
                format!("{{\"order\":{number},\"item\":\"{item}\",\"count\":{},\"price\":{}}}", rng.within(1, 5), price(rng))
            }
            Self::Invoice => {
                let buyer = rng.pick(&["ana", "bo", "chris", "dana", "eli", "fran"]);
                let mail = format!("\"mail\":\"{buyer}@example.org\"");
                let mail = if number.is_multiple_of(NO_ADDRESS_EVERY) { NO_ADDRESS } else { &mail };
                format!("{{\"invoice\":{number},\"total\":{},{mail}}}", price(rng))
            }
            Self::Receipt => format!("{{\"invoice\":{number},\"sent\":true}}"),
            Self::Reading => format!("{{\"frame\":{number},\"lux\":{},\"celsius\":{}}}", rng.within(80, 900), rng.within(18, 31)),
            Self::Turn => format!("{{\"turn\":{}}}", rng.within(0, 360)),
            Self::Job => format!("{{\"job\":{number},\"shelf\":{}}}", rng.within(1, 40)),
            Self::Scan => format!("{{\"job\":{number},\"parcel\":\"P-{:06}\"}}", rng.within(0, 1_000_000)),
            Self::Trace => format!("invoice {number} took {} ms", rng.within(2, 60)),
        }
    }
}

/// True for an invoice that cannot be mailed.
pub(crate) fn has_no_address(payload: &[u8]) -> bool {
    payload.windows(NO_ADDRESS.len()).any(|part| part == NO_ADDRESS.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Letter; 8] = [
        Letter::Order,
        Letter::Invoice,
        Letter::Receipt,
        Letter::Reading,
        Letter::Turn,
        Letter::Job,
        Letter::Scan,
        Letter::Trace,
    ];

    #[test]
    fn a_letter_is_a_short_line_that_can_be_read() {
        let mut rng = Rng::new(1);
        for letter in ALL {
            let text = letter.write(1_042, &mut rng);
            assert!(text.len() < 100 && text.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{text}");
            assert_eq!(text.starts_with('{'), letter != Letter::Trace);
            assert!(letter == Letter::Trace || serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn some_invoices_have_no_address() {
        let mut rng = Rng::new(1);
        let invoices: Vec<String> = (0..10_000).map(|number| Letter::Invoice.write(number, &mut rng)).collect();
        let without = invoices.iter().filter(|text| has_no_address(text.as_bytes())).count();
        assert_eq!(without, 40);
        assert!(!has_no_address(b"{\"mail\":\"null\"}"));
    }
}
