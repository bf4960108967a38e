//! The charts of a report, as SVG.

use crate::peers::Family;
use crate::stats::Quartiles;
use crate::workloads::grouped;
use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One bar: a median with its quartiles.
pub struct Bar {
    pub label: String,
    pub family: Family,
    pub value: Quartiles,
}

/// Bars on one axis.
pub struct Panel {
    pub title: String,
    pub bars: Vec<Bar>,
}

/// How all panels of a chart are drawn.
pub struct Bars {
    pub title: String,
    pub axis: String,
    /// A value that all are compared with: there is a line.
    pub line: Option<f64>,
    /// Bars are cut here, and their value stands beside them.
    pub most: f64,
    pub digits: usize,
}

/// A line of points, x and y.
pub struct Line {
    pub label: String,
    pub family: Family,
    pub points: Vec<(f64, f64)>,
}

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(209, 213, 219);
const WIDTH: u32 = 1180;
const COLUMNS: u32 = 2;
const TITLE: u32 = 44;
const LABELS: u32 = 176;
const BAR: u32 = 19;
/// Above and below the bars of a panel.
const FRAME: u32 = 104;

fn colour(family: Family) -> RGBColor {
    match family {
        Family::Epoll | Family::Udp | Family::Openssl | Family::WebEpoll | Family::Enet => {
            RGBColor(107, 114, 128)
        }
        Family::Sockeye | Family::Lanes => RGBColor(30, 99, 176),
        Family::Libuv | Family::Lws => RGBColor(217, 119, 30),
        Family::Asio | Family::AsioSsl | Family::Beast => RGBColor(47, 143, 78),
        Family::Libevent | Family::LibeventSsl => RGBColor(134, 89, 184),
    }
}

fn text(size: u32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    let style = TextStyle::from((FONT, size).into_font()).color(&INK);
    style.pos(Pos::new(horizontal, vertical))
}

/// A number on an axis.
fn tick(value: f64) -> String {
    if value.fract() == 0.0 { grouped(value as u64) } else { format!("{value:.1}") }
}

/// Panels side by side, each with a row for each bar.
pub fn bars(how: &Bars, panels: &[Panel]) -> Result<String> {
    let rows = (panels.len() as u32).div_ceil(COLUMNS).max(1);
    let most = panels.iter().map(|panel| panel.bars.len() as u32).max().unwrap_or(0);
    let height = TITLE + rows * (most * BAR + FRAME);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let place = ((WIDTH / 2) as i32, 12);
        root.draw(&Text::new(&*how.title, place, text(20, HPos::Center, VPos::Top)))?;
        let (_, below) = root.split_vertically(TITLE);
        let columns = COLUMNS.min(panels.len().max(1) as u32);
        let areas = below.split_evenly((rows as usize, columns as usize));
        for (area, one) in areas.iter().zip(panels) {
            // All bars are equally thick: a panel with fewer is less high.
            let high = one.bars.len() as u32 * BAR + FRAME;
            let (area, _) = area.split_vertically(high);
            panel(&area, how, one).with_context(|| one.title.clone())?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn panel(area: &Area, how: &Bars, panel: &Panel) -> Result<()> {
    let count = panel.bars.len() as f64;
    let values = panel.bars.iter().map(|bar| bar.value.high.max(bar.value.median));
    let largest = values.chain(how.line).fold(0.0, f64::max);
    // Room for the numbers behind the bars.
    let cut = largest.min(how.most);
    let end = if cut > 0.0 { cut * 1.14 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, text(15, HPos::Left, VPos::Top))
        .margin_right(18)
        .margin_left(LABELS)
        .x_label_area_size(38)
        .build_cartesian_2d(0.0..end, 0.0..count)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().x_labels(7).x_desc(&how.axis);
    mesh.bold_line_style(FAINT).light_line_style(TRANSPARENT).axis_style(INK);
    mesh.x_label_formatter(&|value| tick(*value));
    mesh.label_style(text(12, HPos::Left, VPos::Top)).draw()?;
    for (n, bar) in panel.bars.iter().enumerate() {
        // The first is at the top.
        let middle = count - n as f64 - 0.5;
        let Quartiles { low, median, high } = bar.value;
        let within = |value: f64| value.clamp(0.0, cut);
        let corners = [(0.0, middle - 0.36), (within(median), middle + 0.36)];
        let fill = colour(bar.family).mix(0.85).filled();
        chart.draw_series([Rectangle::new(corners, fill)])?;
        if high > low && median <= cut {
            let whisker = vec![(within(low), middle), (within(high), middle)];
            chart.draw_series([PathElement::new(whisker, INK.stroke_width(1))])?;
            for at in [within(low), within(high)] {
                let tip = vec![(at, middle - 0.2), (at, middle + 0.2)];
                chart.draw_series([PathElement::new(tip, INK.stroke_width(1))])?;
            }
        }
        let (digits, arrow) = (how.digits, if median > cut { " →" } else { "" });
        let number = format!("{median:.digits$}{arrow}");
        let behind = within(median.max(if median > cut { cut } else { high }));
        let origin = area.get_pixel_range();
        let shifted = |x: f64, by: i32| {
            let (x, y) = chart.backend_coord(&(x, middle));
            (x - origin.0.start + by, y - origin.1.start)
        };
        let style = text(12, HPos::Left, VPos::Center);
        area.draw(&Text::new(number, shifted(behind, 5), style))?;
        let style = text(12, HPos::Right, VPos::Center);
        area.draw(&Text::new(&*bar.label, shifted(0.0, -6), style))?;
    }
    if let Some(at) = how.line {
        let line = vec![(at, 0.0), (at, count)];
        chart.draw_series([PathElement::new(line, INK.mix(0.6).stroke_width(1))])?;
    }
    Ok(())
}

/// Lines over a count, which grows by factors; each is named at its end.
pub fn lines(title: &str, axes: (&str, &str), lines: &[Line]) -> Result<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (first, last) =
        points().fold((f64::MAX, 0.0_f64), |(first, last), (x, _)| (first.min(*x), last.max(*x)));
    anyhow::ensure!(last > 0.0, "a chart without a point");
    let high = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, 520)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, text(20, HPos::Left, VPos::Top))
            .margin(14)
            .margin_right(210)
            .x_label_area_size(48)
            .y_label_area_size(62)
            .build_cartesian_2d((first * 0.9..last * 1.1).log_scale(), 0.0..high * 1.08)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(axes.0).y_desc(axes.1).light_line_style(TRANSPARENT).bold_line_style(FAINT);
        mesh.axis_style(INK).label_style(text(13, HPos::Left, VPos::Top));
        mesh.x_label_formatter(&|count| grouped(count.round() as u64));
        mesh.y_label_formatter(&|value| tick(*value));
        mesh.draw()?;
        let mut ends = Vec::new();
        for (n, line) in lines.iter().enumerate() {
            // Of one family, every line is lighter than the one before.
            let before = lines[..n].iter().filter(|other| other.family == line.family).count();
            let colour = colour(line.family).mix((1.0 - 0.22 * before as f64).max(0.25));
            chart.draw_series(LineSeries::new(line.points.clone(), colour.stroke_width(2)))?;
            let dots = line.points.iter().map(|at| Circle::new(*at, 4, colour.filled()));
            chart.draw_series(dots)?;
            if let Some(end) = line.points.last() {
                ends.push((chart.backend_coord(end), &line.label, colour));
            }
        }
        ends.sort_by_key(|((_, y), ..)| *y);
        let mut free = i32::MIN;
        for ((x, y), label, colour) in ends {
            // One below the other, also where lines end together.
            let y = y.max(free);
            free = y + 17;
            let style = text(13, HPos::Left, VPos::Center);
            root.draw(&Circle::new((x + 18, y), 4, colour.filled()))?;
            root.draw(&Text::new(&**label, (x + 28, y), style))?;
        }
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, family: Family, median: f64) -> Bar {
        let value = Quartiles { low: median * 0.95, median, high: median * 1.1 };
        Bar { label: label.into(), family, value }
    }

    fn texts(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
    }

    #[test]
    fn bars_are_labelled_and_cut_at_the_end() {
        let how = Bars {
            title: "CPU <ratio> & more".into(),
            axis: "ratio".into(),
            line: Some(1.0),
            most: 3.0,
            digits: 2,
        };
        let first = vec![
            bar("epoll", Family::Epoll, 1.0),
            bar("Sockeye LEND", Family::Sockeye, 0.98),
            bar("libevent loop", Family::Libevent, 6.09),
        ];
        let second = vec![bar("epoll", Family::Epoll, 1.0)];
        let panels = [
            Panel { title: "64 × 64 B".into(), bars: first },
            Panel { title: "nothing <else>".into(), bars: second },
            Panel { title: "empty".into(), bars: Vec::new() },
        ];
        let texts = texts(&bars(&how, &panels).unwrap());
        let wanted = ["CPU <ratio> & more", "Sockeye LEND", "0.98", "6.09 →", "nothing <else>"];
        assert!(wanted.iter().all(|want| texts.iter().any(|text| text == want)), "{texts:?}");
    }

    #[test]
    fn lines_are_named_at_their_ends() {
        let line = |label: &str, family, by: f64| {
            let points = [100.0, 1000.0, 15_000.0].map(|x| (x, by + x / 5000.0)).to_vec();
            Line { label: label.into(), family, points }
        };
        let all = [
            line("epoll", Family::Epoll, 5.0),
            line("POOL, poll", Family::Sockeye, 5.1),
            line("HOST, poll", Family::Sockeye, 5.1),
        ];
        let svg = lines("CPU", ("connections", "µs"), &all).unwrap();
        let texts = texts(&svg);
        assert!(texts.iter().any(|text| text == "HOST, poll"), "{texts:?}");
        assert!(texts.iter().any(|text| text == "1,000"), "{texts:?}");
        assert!(lines("CPU", ("x", "y"), &[]).is_err());
    }
}
