"""The plots of one training: what was forecast, how well, and in which season.

Every function draws one PNG without a time stamp: the same numbers give the same bytes.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

THRESHOLD = 0.5  # K, of El Nino and La Nina
EPISODE = 5  # overlapping three-month means that make one
SEASONS = ["DJF", "JFM", "FMA", "MAM", "AMJ", "MJJ", "JJA", "JAS", "ASO", "SON", "OND", "NDJ"]
WARM, COLD, MODEL, BASE = "#c0392b", "#2c6fad", "#d35400", "#7f8c8d"
STYLES = {
    "forecast": ("ridge regression", {"color": MODEL, "marker": "o"}),
    "persistence": ("persistence", {"color": BASE, "marker": "s", "ls": "--"}),
    "damped_persistence": ("damped persistence", {"color": "#34495e", "marker": "^", "ls": ":"}),
}


def draw_all(
    table: pd.DataFrame, mean: pd.Series, metrics: dict[str, float], *, cv_rmse: float, lead: int
) -> None:
    """Write every plot into `plots/`.

    `table` is what predictions.csv holds (K); `mean` the trailing three-month mean anomaly (K).
    """
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        draw_timeseries(table, episodes(mean), cv_rmse=cv_rmse, lead=lead)
        draw_scatter(table, metrics, lead=lead)
        draw_seasons(table, lead=lead)


def episodes(mean: pd.Series) -> pd.Series:
    """Return +1 for each month within an El Nino, -1 within a La Nina, 0 otherwise.

    NOAA's definition: five or more consecutive overlapping three-month means, rounded to 0.1 K,
    at or beyond +-0.5 K. `mean` is labelled by its last month, the result by the middle one. (The
    official ONI uses another base period for every five years; this uses the data's single one.)
    """
    centred = mean.shift(-1).round(1)
    sign = np.sign(centred).where(centred.abs() >= THRESHOLD, 0)
    run = (sign != sign.shift()).cumsum()
    return sign.where(sign.groupby(run).transform("size") >= EPISODE, 0)


def draw_timeseries(table: pd.DataFrame, episode: pd.Series, *, cv_rmse: float, lead: int) -> None:
    """Draw forecast and observation by target month, with thresholds and observed episodes."""
    fig, ax = plt.subplots(figsize=(10, 4.6), layout="constrained")
    time, low, high = table["target"], table["forecast"] - cv_rmse, table["forecast"] + cv_rmse
    bottom = min(-1.0, low.min(), table["observed"].min()) - 0.4
    top = max(1.0, high.max(), table["observed"].max()) + 0.2
    ax.axhline(0, color="0.6", lw=0.8)
    band = "± RMSE of cross-validation on the training years"
    ax.fill_between(time, low, high, color=MODEL, alpha=0.2, lw=0, label=band)
    ax.plot(time, table["persistence"], color=BASE, lw=1, ls="--", label="persistence")
    ax.plot(time, table["observed"], color="black", lw=1.8, label="observed")
    ax.plot(time, table["forecast"], color=MODEL, lw=1.8, label="ridge regression")
    for sign, edge, color, name in ((1, top, WARM, "El Niño"), (-1, bottom, COLD, "La Niña")):
        ax.axhspan(sign * THRESHOLD, edge, color=color, alpha=0.07, lw=0, zorder=0)
        place = {"ha": "left", "va": "center", "rotation": 90, "color": color}
        middle = (sign * THRESHOLD + edge) / 2
        ax.text(1.005, middle, name, transform=ax.get_yaxis_transform(), **place)
        bar = {"where": (episode.reindex(time) == sign).to_numpy(), "color": color, "lw": 0}
        ax.fill_between(time, 0, 0.02, transform=ax.get_xaxis_transform(), **bar)
    ax.set(xlim=(time.iloc[0], time.iloc[-1]), ylim=(bottom, top), xlabel="target month")
    ax.set_ylabel("Niño 3.4 SST anomaly (K, base 1971 to 2000)")
    ax.xaxis.set_major_locator(mdates.YearLocator())
    ax.set_title(
        f"Niño 3.4 anomaly, forecast {lead} months ahead: test period {time.iloc[0]:%b %Y} to "
        f"{time.iloc[-1]:%b %Y}\nshaded beyond ±0.5 K; bars at the foot: observed El Niño and "
        "La Niña episodes (ONI rule)",
        loc="left",
        fontsize=10,
    )
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=9)
    save(fig, "timeseries")


def draw_scatter(table: pd.DataFrame, metrics: dict[str, float], *, lead: int) -> None:
    """Draw forecast against observation, beside persistence, with the 1:1 line."""
    fig, axes = plt.subplots(1, 2, figsize=(9.4, 4.8), layout="constrained", sharey=True)
    cmap, norm = plt.get_cmap("twilight_shifted"), Normalize(0.5, 12.5)
    columns = ["forecast", "persistence"]
    limit = 1.08 * table[[*columns, "observed"]].abs().to_numpy().max()
    for ax, name in zip(axes, columns, strict=True):
        error = table[name] - table["observed"]
        ax.plot([-limit, limit], [-limit, limit], color="0.3", lw=1)
        for value in (-THRESHOLD, THRESHOLD):
            ax.axvline(value, color="0.8", lw=0.8, ls=":")
            ax.axhline(value, color="0.8", lw=0.8, ls=":")
        edge = {"edgecolors": "0.3", "linewidths": 0.4}
        color = cmap(norm(table["target"].dt.month))
        ax.scatter(table["observed"], table[name], s=24, color=color, zorder=3, **edge)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        ax.set_title(STYLES[name][0])
        ax.set_xlabel("observed anomaly (K)")
        r = table[name].corr(table["observed"])
        text = f"RMSE {np.sqrt((error**2).mean()):.2f} K\nr = {r:.2f}\nbias {error.mean():+.2f} K"
        ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top")
    axes[0].set_ylabel(f"anomaly forecast {lead} months ahead (K)")
    bar = fig.colorbar(ScalarMappable(norm, cmap), ax=axes, ticks=range(1, 13), shrink=0.85)
    bar.ax.set_yticklabels("JFMAMJJASOND")
    bar.ax.invert_yaxis()
    bar.set_label("target month")
    skill, low, high = (metrics[f"skill_over_persistence{end}"] for end in ("", "_p05", "_p95"))
    text = f"skill over persistence {skill:.2f} (90 % interval {low:.2f} to {high:.2f})"
    fig.suptitle(f"Niño 3.4, {len(table)} test months: {text}", fontsize=11)
    save(fig, "scatter")


def draw_seasons(table: pd.DataFrame, *, lead: int) -> None:
    """Draw RMSE and correlation by the target's three-month season: the spring barrier."""
    fig, (top, bottom) = plt.subplots(2, figsize=(8, 6), layout="constrained", sharex=True)
    month = table["target"].dt.month
    groups = [table[month.isin([(m - 2) % 12 + 1, m, m % 12 + 1])] for m in range(1, 13)]
    for name, (label, style) in STYLES.items():
        errors = [np.sqrt(((g[name] - g["observed"]) ** 2).mean()) for g in groups]
        top.plot(SEASONS, errors, label=label, **style)
        if name != "damped_persistence":  # a constant factor does not change a correlation
            bottom.plot(SEASONS, [g[name].corr(g["observed"]) for g in groups], **style)
    spread = [g["observed"].std(ddof=0) for g in groups]
    top.plot(SEASONS, spread, color="0.75", lw=3, zorder=0, label="observed standard deviation")
    top.set_ylabel("RMSE (K)")
    top.set_ylim(bottom=0)
    bottom.set_ylabel("correlation with observed")
    bottom.set_xlabel("season of the target month")
    bottom.axhline(0, color="0.6", lw=0.8)
    bottom.set_ylim(top=1)
    sizes = sorted({len(g) for g in groups})
    mark_barrier(top, bottom, lead=lead)
    text = f"Skill of {lead}-month forecasts by target season, {sizes[0]} to {sizes[-1]} cases each"
    top.set_title(text, loc="left", fontsize=11)
    top.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.02), frameon=False, fontsize=9)
    save(fig, "seasons")


def mark_barrier(*axes: Axes, lead: int) -> None:
    """Shade the target seasons whose forecast is issued before and verified after April."""
    crossing = [m for m in range(1, 13) if 0 < (m - 4) % 12 <= min(lead, 11)]
    for ax in axes:
        for m in crossing:
            ax.axvspan(m - 1.5, m - 0.5, color="0.93", lw=0, zorder=-1)
    if crossing:
        style = {"ha": "center", "va": "top", "fontsize": 9, "color": "0.4"}
        middle, place = float(np.mean(crossing)) - 1, axes[0].get_xaxis_transform()
        axes[0].text(middle, 0.97, "forecast crosses April", transform=place, **style)


def save(fig: Figure, name: str) -> None:
    """Write `plots/<name>.png` and close the figure."""
    # Matplotlib writes its version into a PNG unless told not to: other bytes for the same plot.
    fig.savefig(Path("plots") / f"{name}.png", dpi=130, metadata={"Software": None})
    plt.close(fig)
