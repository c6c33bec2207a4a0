//! A table of two programs: what each needed, and the ratio.

/// One figure of both programs.
pub(super) struct Row {
    pub(super) figure: &'static str,
    pub(super) haul: f64,
    pub(super) peer: f64,
    pub(super) better: Better,
}

/// Which way a figure is good.
#[derive(Clone, Copy)]
pub(super) enum Better {
    More,
    Less,
}

impl Row {
    pub(super) fn less(figure: &'static str, haul: f64, peer: f64) -> Self {
        Self {
            figure,
            haul,
            peer,
            better: Better::Less,
        }
    }

    pub(super) fn more(figure: &'static str, haul: f64, peer: f64) -> Self {
        Self {
            figure,
            haul,
            peer,
            better: Better::More,
        }
    }

    /// How many times better Haul does; below 1 it does worse.
    fn ratio(&self) -> f64 {
        match self.better {
            Better::More => self.haul / self.peer,
            Better::Less => self.peer / self.haul,
        }
    }
}

/// Prints the rows as a Markdown table.
pub(super) fn print(title: &str, peer: &str, rows: &[Row]) {
    println!("\n## {title}\n\n| | haul | {peer} | haul is better by |\n|---|---:|---:|---:|");
    for row in rows {
        println!(
            "| {} | {:.2} | {:.2} | {:.2} x |",
            row.figure,
            row.haul,
            row.peer,
            row.ratio()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn above_one_is_better_whichever_way_a_figure_is_good() {
        assert_eq!(Row::more("pages/s", 10.0, 5.0).ratio(), 2.0);
        assert_eq!(Row::less("seconds", 10.0, 5.0).ratio(), 0.5);
    }
}
